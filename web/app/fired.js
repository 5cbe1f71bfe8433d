import { toast } from './ui.js';
import { go } from './nav.js';
import { percent, price } from './format.js';

/** @typedef {{id:string, symbol:string, kind:string, threshold:string, price:string, fired_at:string}} Firing */

/** What an alert waits for. @param {{symbol:string, kind:string, threshold:string}} a */
export const wanted = ({ symbol, kind, threshold: t }) => (kind === 'day_pct' ? `moves by ${percent(t)} in a day` : `${kind === 'above' ? 'rises to' : 'falls to'} ${price(t, symbol)}`);

/** What came true. @param {Firing} f */
export const said = (f) => (f.kind === 'day_pct' ? `${f.symbol} moved by ${percent(f.threshold)} in a day: ${price(f.price, f.symbol)}` : `${f.symbol} ${f.kind === 'above' ? 'rose' : 'fell'} to ${price(f.price, f.symbol)}`);

const TOLD = 'rosetree.told'; // ids: what this browser was told once is counted until it is seen, and not told at every reload

/** @param {string} id whether it is the first time here */
function news(id) {
  try {
    const told = JSON.parse(localStorage.getItem(TOLD) ?? '[]');
    if (told.includes(id)) return false;
    localStorage.setItem(TOLD, JSON.stringify([...told.slice(-199), id]));
  } catch { /* storage is off, or another program's: told again */ }
  return true;
}

const began = Date.now();
/** @type {Firing[]} */ let old = [];

/** Tells of what came true: the new one by one, and what came true before this page in one sentence. @param {Firing} f */
export function fired(f) {
  const show = () => go('/alerts');
  if (!news(f.id) || location.pathname === '/alerts') return; // there it is on screen
  if (Date.parse(f.fired_at) > began - 10000) return toast(said(f), 'Show', show);
  if (old.push(f) > 1) return;
  setTimeout(() => {
    toast(old.length === 1 ? said(old[0]) : `${old.length} alerts came true while you were away`, 'Show', show);
    old = [];
  }, 300);
}
