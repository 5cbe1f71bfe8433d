import { post, get } from './api.js';
import { client } from './live.js';
import { float } from './format.js';
import { set, settings } from './settings.js';
import { batch, computed, signal } from './vendor/preact.js';

/** @typedef {{id:string, name:string, base_currency:string, cost_method?:string, costs?:string, version?:number}} Summary */
/** @typedef {import('./rosetree.js').Holding} Holding */

export const portfolios = signal(/** @type {Summary[]|null} */ (null));
export const current = signal(/** @type {string|null} */ (null));
export const symbols = signal(/** @type {string[]|null} */ (null));
export const totals = signal(/** @type {Record<string, any>|null} */ (null));
export const version = signal(0);
export const paused = signal(false);
export const summary = computed(() => portfolios.value?.find((p) => p.id === current.value) ?? null);
/** When a pushed figure was last painted. */
export const paintedAt = signal(0);

/** One signal per row, so that a tick redraws one row. @type {Map<string, import('./vendor/preact.js').Signal<Holding>>} */
export const rows = new Map();

/** @type {import('./rosetree.js').Portfolio|null} */ let stream = null;

/** Why the portfolios could not be read, or null. */
export const trouble = signal(/** @type {Error|null} */ (null));

/** Reads which portfolios there are and opens one. @param {string} [wanted] */
export async function load(wanted) {
  trouble.value = null;
  try {
    portfolios.value = (await get('/api/portfolios')).portfolios;
  } catch (e) {
    trouble.value = /** @type {Error} */ (e);
    return;
  }
  const list = portfolios.value ?? [];
  const id = [wanted, settings.value.portfolio].find((id) => list.some((p) => p.id === id)) ?? list[0]?.id;
  if (id) open(id);
  else batch(() => { current.value = null; symbols.value = []; });
}

/** @param {string} name @param {string} base_currency */
export async function create(name, base_currency) {
  const p = await post('/api/portfolios', { name, base_currency }, { key: crypto.randomUUID() });
  await load(p.id);
  return p;
}

/** @param {string} id */
export function open(id) {
  if (stream && current.value === id) return;
  close();
  set({ portfolio: id });
  current.value = id;
  stream = client.portfolio(id);
  for (const event of ['snapshot', 'resync', 'change']) stream.on(event, reference);
  for (const event of ['snapshot', 'resync', 'change', 'valuation']) stream.on(event, soon);
  stream.on('gone', () => { portfolios.value = (portfolios.value ?? []).filter((p) => p.id !== id); });
  if (stream.version) soon();
}

/** Forgets every amount, at once: after it nothing of the portfolio is in the page. */
export function close() {
  stream?.close();
  stream = null;
  rows.clear();
  batch(() => {
    symbols.value = null;
    totals.value = null;
    version.value = 0;
    current.value = null;
  });
}

const slow = matchMedia('(prefers-reduced-motion: reduce)');
let asked = false, last = 0;

/** Paints in the next frame, at most ten times a second (twice with reduced motion), and never while hidden. */
function soon() {
  if (asked || paused.value) return;
  asked = true;
  const wait = last + (slow.matches ? 500 : 100) - performance.now();
  setTimeout(() => requestAnimationFrame(() => {
    asked = false;
    last = performance.now();
    if (!paused.value) paint();
  }), Math.max(0, wait));
}

function paint() {
  const s = stream;
  if (!s || !s.version) return;
  batch(() => {
    for (const [symbol, h] of s.holdings) {
      const row = rows.get(symbol);
      if (!row) rows.set(symbol, signal(h));
      else row.value = h;
    }
    const names = [...s.holdings.keys()];
    if (names.join() !== symbols.peek()?.join()) symbols.value = names;
    totals.value = s.totals;
    version.value = s.version;
    paintedAt.value = Date.now();
  });
}

export function pause() {
  paused.value = !paused.value;
  if (!paused.value) soon();
}

/** A holding's value in the base currency: a push names it only where it differs from the value. @param {Holding} h */
export const base = (h) => (h.currency === totals.peek()?.currency ? h.value : h.value_base);

/** @param {Holding} h */
export const profit = (h) => (h.currency === totals.peek()?.currency ? h.unrealised : h.unrealised_base);

/** Share of the holdings' value, in per cent. @param {Holding} h */
export function weight(h) {
  let sum = 0;
  for (const row of rows.values()) sum += Math.abs(float(base(row.peek())) || 0);
  return sum ? (float(base(h)) / sum) * 100 : null;
}

/** What a holding's day change is a per cent of. It moves only with the ledger, so it is read where both come together. @type {Map<string, number>} */
const references = new Map();

/** @param {any} m */
function reference(m) {
  for (const h of m.holdings) references.set(h.symbol, float(h.day_change) / float(h.day_change_pct));
}

/** The day's change in per cent: a push carries the change alone. @param {Holding} h */
export function dayPercent(h) {
  const change = float(h.day_change), of = references.get(h.symbol) ?? NaN;
  const per = Number.isFinite(of) && of ? change / of : (change / (float(base(h)) - change)) * 100;
  return Number.isFinite(per) ? per : null;
}
