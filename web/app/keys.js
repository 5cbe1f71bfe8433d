import { Dialog } from './ui.js';
import { go } from './nav.js';
import { pause } from './portfolio.js';
import { nextTheme, set, settings } from './settings.js';
import { html, useEffect, useState } from './vendor/preact.js';

const help = [['/', 'search'], ['j k', 'next and previous row'], ['Enter', 'details of the row'], ['a', 'add a transaction'], ['g h', 'go to the portfolio'], ['g l', 'go to the activity'], ['g w', 'go to watchlists'], ['g n', 'go to alerts'], ['g s', 'go to sessions'], ['g a', 'go to admin'], ['p', 'hide amounts'], ['space', 'pause updates'], ['t', 'light or dark'], ['?', 'this help']];
const places = /** @type {Record<string, string>} */ ({ h: '/', l: '/activity', w: '/watchlists', n: '/alerts', s: '/sessions', a: '/admin' });

/** Moves the focus among the rows of the page's table. @param {number} by */
function step(by) {
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('tr[data-row]')]);
  if (!rows.length) return;
  const at = rows.findIndex((r) => r.contains(document.activeElement));
  const to = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
  for (const r of rows) r.tabIndex = r === to ? 0 : -1; // Tab comes back to the row that one was on
  to.focus();
}

/** The keys that work everywhere, except while typing. */
export function Keys() {
  const [shown, show] = useState(false);
  useEffect(() => {
    let went = 0;
    const key = (/** @type {KeyboardEvent} */ e) => {
      const t = /** @type {HTMLElement} */ (e.target);
      if (e.ctrlKey || e.metaKey || e.altKey || t.closest('input, select, textarea, dialog, [contenteditable]')) return;
      const k = e.key;
      if (Date.now() - went < 1000 && places[k]) return went = 0, e.preventDefault(), go(places[k]);
      /** @type {Record<string, () => any>} */
      const acts = {
        g: () => { went = Date.now(); }, '/': () => document.querySelector(/** @type {'input'} */ ('input[type=search]'))?.focus(), j: () => step(1), k: () => step(-1),
        a: () => document.querySelector(/** @type {'button'} */ ('button[data-key=add]'))?.click(), p: () => set({ hide: !settings.value.hide }), t: nextTheme, '?': () => show(true),
      };
      if (k === ' ' && !t.closest('button, a, summary')) acts[' '] = pause;
      if (acts[k]) e.preventDefault(), acts[k]();
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);
  return shown ? html`<${Dialog} title="Keyboard" close=${() => show(false)}>
    <dl class="keys">${help.map(([k, text]) => html`<dt key=${k}>${k.split(' ').map((x) => html`<kbd>${x}</kbd> `)}</dt><dd class="soft">${text}</dd>`)}</dl><//>` : null;
}
