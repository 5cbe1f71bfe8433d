import { toast } from '../ui.js';
import { api, get, url } from '../api.js';
import { client } from '../live.js';

/** A purchase for about 1,000 of its currency, at the oldest close of the last year. @param {{symbol:string, currency:string}} i */
async function bought({ symbol, currency }) {
  const from = new Date(Date.now() - 366 * 86400000).toISOString();
  const { candles } = await get(url(`/api/prices/${encodeURIComponent(symbol)}/candles`, { interval: '1d', from }));
  const c = candles?.[0];
  return c && Number(c.c) > 0 ? `${new Date(c.t).toISOString().slice(0, 10)},${symbol},MANUAL,${currency},${c.c},${Number((1000 / Number(c.c)).toPrecision(3))},buy,0,demo data` : '';
}

/** Fills an empty portfolio with what this server has prices of, to see how it looks; one undo takes it away. @param {string} portfolio */
export async function demo(portfolio) {
  try {
    const { instruments } = await get(url('/api/instruments', { limit: 50 }));
    const known = instruments.filter((/** @type {any} */ i) => i.kind !== 'fx' && i.kind !== 'manual').slice(0, 8);
    const rows = (await Promise.all(known.map(bought))).filter(Boolean).slice(0, 5);
    if (!rows.length) return toast('This server knows no prices of the past yet.');
    const file = `Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note\n${rows.join('\n')}\n`;
    const r = await api('POST', url(`/api/portfolios/${portfolio}/import`, { file_name: 'Demo data' }), file, { text: true });
    toast('Demo data added', 'Undo', () => client.call('import.undo', { portfolio, import: r.import }).catch((e) => toast(e.message)));
  } catch (e) {
    toast(/** @type {Error} */ (e).message);
  }
}
