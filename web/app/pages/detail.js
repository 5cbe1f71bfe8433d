import { Delta, Dialog, Segments, useAsked } from '../ui.js';
import { day, float, money, percent, price, quantity, time } from '../format.js';
import { get, url } from '../api.js';
import { base, current, dayPercent, profit, rows, totals } from '../portfolio.js';
import { types } from './types.js';
import { html, useEffect, useRef, useState } from '../vendor/preact.js';

const spans = /** @type {Record<string, number>} */ ({ '1M': 31, '3M': 92, '1Y': 366, '5Y': 1830 });

/** @param {{symbol:string, close:() => void}} p */
export function Detail({ symbol, close }) {
  const h = rows.get(symbol)?.value, id = current.value, c = totals.value?.currency ?? '';
  const whole = useAsked(() => get(`/api/portfolios/${id}/holdings?lots=true`), [id, symbol]).data;
  const ledger = useAsked(() => get(url(`/api/portfolios/${id}/transactions`, { symbol })), [id, symbol]).data;
  if (!h) return null;
  const lots = whole?.holdings?.find((/** @type {any} */ x) => x.symbol === symbol)?.lots ?? [];
  const list = (ledger?.transactions ?? []).filter((/** @type {any} */ t) => t.symbol === symbol);
  return html`<${Dialog} title=${`${symbol} · ${h.name}`} kind="side" close=${close}>
    <p class="row"><b class="total">${price(h.price, symbol)} <small class="soft">${h.currency}</small></b><${Delta} v=${dayPercent(h)}>${percent(dayPercent(h))} today<//><span class="soft small">${h.freshness === 'closed' ? `at close ${time(h.price_at, { timeStyle: 'short' })}` : h.freshness}</span></p>
    <${Chart} symbol=${symbol} />
    <dl class="facts">
      <div><dt>Quantity</dt><dd>${quantity(h.quantity)}</dd></div><div><dt>Average price</dt><dd>${price(h.average_price, `${symbol} avg`)}</dd></div><div><dt>Value</dt><dd>${money(base(h), c)}</dd></div>
      <div><dt>Cost</dt><dd>${money(h.cost_base, c)}</dd></div><div><dt>Unrealised</dt><dd><${Delta} v=${profit(h)}>${money(profit(h), c, true)}<//></dd></div><div><dt>Realised</dt><dd><${Delta} v=${h.realised_base}>${money(h.realised_base, c, true)}<//></dd></div>
      <div><dt>Income</dt><dd>${money(h.income, c)}</dd></div><div><dt>Fees</dt><dd>${money(h.fees, c)}</dd></div><div><dt>Taxes</dt><dd>${money(h.taxes, c)}</dd></div></dl>
    ${lots.length > 0 && html`<h3>Lots</h3><div class="scroll"><table><thead><tr><th scope="col">Bought</th><th scope="col" class="num">Quantity</th><th scope="col" class="num">Cost ${h.currency}</th></tr></thead>
      <tbody>${lots.map((/** @type {any} */ l, /** @type {number} */ i) => html`<tr key=${i}><td>${day(l.opened_at)}</td><td class="num">${quantity(l.quantity)}</td><td class="num">${money(l.cost, h.currency)}</td></tr>`)}</tbody></table></div>`}
    ${list.length > 0 && html`<h3>Transactions</h3><div class="scroll"><table><thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col" class="num">Quantity</th><th scope="col" class="num">Price or amount</th></tr></thead>
      <tbody>${list.map((/** @type {any} */ t) => html`<tr key=${t.id}><td>${day(t.executed_at)}</td><td>${types.find(([k]) => k === t.type)?.[1] ?? t.type}</td><td class="num">${quantity(t.quantity)}</td><td class="num">${t.price ? price(t.price, `${symbol} tx`) : money(t.amount, t.currency)} ${t.currency}</td></tr>`)}</tbody></table></div>`}
  <//>`;
}

/** @param {{symbol:string}} p */
function Chart({ symbol }) {
  const [range, setRange] = useState('1Y');
  const box = useRef(/** @type {HTMLDivElement|null} */ (null));
  const from = new Date(Date.now() - spans[range] * 86400000).toISOString();
  const asked = useAsked(() => get(url(`/api/prices/${encodeURIComponent(symbol)}/candles`, { interval: '1d', from })), [symbol, range]);
  const candles = asked.data?.candles;
  useEffect(() => {
    if (!box.current || !candles?.length) return;
    let plot = /** @type {any} */ (null), gone = false;
    import('../curve.js').then(({ draw }) => {
      if (!gone && box.current) plot = draw(box.current, candles.map((/** @type {any} */ k) => [new Date(k.t ?? k.at).getTime() / 1000, float(k.c ?? k.close)]), { label: (v) => price(v, `${symbol} chart`), when: time });
    });
    return () => { gone = true; plot?.destroy(); };
  }, [candles]);
  return html`<div class="row"><h3 class="grow">Price</h3><${Segments} label="Range of the price chart" value=${range} options=${Object.keys(spans)} onChange=${setRange} /></div>
    <div class="plot" ref=${box} role="img" aria-label=${`Price of ${symbol}, ${range}`}>${asked.data && !candles?.length ? html`<p class="none">No history of this price yet.</p>` : null}</div>`;
}
