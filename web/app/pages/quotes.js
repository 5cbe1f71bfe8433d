import { client } from '../live.js';
import { float } from '../format.js';
import { seen } from '../spark.js';
import { signal, useEffect } from '../vendor/preact.js';

/** @typedef {{s:string, p:string|null, t:number|null, previous_close?:string|null, currency?:string, freshness?:string, name?:string, tick?:number}} Quote */

/** The last price of each symbol that a page follows; a signal per symbol, so that a tick redraws one row. @type {Map<string, import('../vendor/preact.js').Signal<Quote>>} */
const quotes = new Map();

/** @param {string} symbol */
export function quote(symbol) {
  let q = quotes.get(symbol);
  if (!q) quotes.set(symbol, q = signal(/** @type {Quote} */ ({ s: symbol, p: null, t: null })));
  return q;
}

/** Asked for once and kept: the close of yesterday, the currency, how fresh. @param {string[]} symbols @returns {Promise<string[]>} those that nobody knows */
async function reference(symbols) {
  const answer = await client.call('price.last', { symbols }).catch(() => null);
  for (const p of answer?.prices ?? []) {
    const q = quote(p.s), now = q.peek();
    q.value = { ...p, ...(now.t && now.t > (p.t ?? 0) && { p: now.p, t: now.t }), tick: now.tick };
  }
  return (answer?.rejected ?? []).map((/** @type {any} */ r) => r.symbol);
}

/** Follows symbols while the caller is on screen. Painted at most ten times a second, and never while hidden. @param {string[]} symbols @param {(unknown:string[]) => void} [unknown] */
export function useQuotes(symbols, unknown) {
  const names = symbols.join();
  useEffect(() => {
    if (!symbols.length) return;
    let mine = true, asked = false;
    const stream = client.prices(symbols, { maxHz: 10 });
    const paint = () => {
      asked = false;
      for (const u of mine ? stream.take() ?? [] : []) {
        const q = quote(u.s), was = q.peek();
        q.value = { ...was, p: u.p, t: u.t, freshness: 'live', tick: was.p === null || was.p === u.p ? was.tick : float(u.p) > float(was.p) ? 1 : -1 };
        seen(u.s, float(u.p));
      }
    };
    stream.on('new', () => {
      if (!asked) asked = true, setTimeout(() => requestAnimationFrame(paint), 100);
    });
    const ask = () => { for (let at = 0; at < symbols.length; at += 500) reference(symbols.slice(at, at + 500)).then((list) => mine && unknown?.(list)); };
    ask();
    const off = client.on('welcome', ask); // a day may have ended meanwhile
    return () => { mine = false; off(); stream.close(); };
  }, [names]);
}

/** Change since the close of the day before, in per cent. @param {Quote} q */
export function change(q) {
  const of = float(q.previous_close), per = ((float(q.p) - of) / of) * 100;
  return Number.isFinite(per) ? per : null;
}
