import { Field } from '../ui.js';
import { get, url } from '../api.js';
import { rows } from '../portfolio.js';
import { html, useRef, useState } from '../vendor/preact.js';

/** @param {{value?:string, error?:any, onPick?:(i:any) => void, label?:string, autofocus?:boolean}} p a symbol with a search under it */
export function SymbolField({ value, error, onPick = () => {}, label = 'Symbol', autofocus = true }) {
  const [found, setFound] = useState(/** @type {any[]} */ ([]));
  const turn = useRef(0);
  const search = async (/** @type {string} */ q) => {
    const mine = ++turn.current;
    const exact = rows.get(q.toUpperCase())?.peek();
    if (exact) onPick(exact);
    if (!q) return setFound([]);
    const answer = await get(url('/api/instruments', { q })).catch(() => null);
    if (mine !== turn.current || !answer) return;
    const list = answer.instruments ?? [];
    setFound(list.slice(0, 12));
    const hit = list.find((/** @type {any} */ i) => i.symbol === q.toUpperCase());
    if (hit) onPick(hit);
  };
  return html`<${Field} label=${label} name="symbol" error=${error} required autofocus=${autofocus} autocomplete="off" autocapitalize="characters" spellcheck=${false} list="symbols" defaultValue=${value} onInput=${(/** @type {any} */ e) => search(e.target.value.trim())} />
    <datalist id="symbols">${found.map((i) => html`<option key=${i.symbol} value=${i.symbol}>${i.name}</option>`)}</datalist>`;
}
