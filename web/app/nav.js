import { signal } from './vendor/preact.js';

/** The address on screen. */
export const path = signal(location.pathname);

/** @param {string} to */
export function go(to) {
  if (to !== location.pathname + location.search) history.pushState(null, '', to);
  path.value = location.pathname;
  scrollTo(0, 0);
}

addEventListener('popstate', () => { path.value = location.pathname; });

// Links within the program change the page without leaving it, so that the socket stays.
document.addEventListener('click', (e) => {
  const a = e.target instanceof Element ? e.target.closest('a') : null;
  if (!a || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || a.target || a.hasAttribute('download') || a.origin !== location.origin || /^\/(api|assets|.*\.(yaml|js))\b/.test(a.pathname)) return;
  e.preventDefault();
  go(a.pathname + a.search);
});

/** The holding whose details are open. */
export const shown = signal(/** @type {string|null} */ (null));

/** The transaction that is being added, as far as it is known. */
export const adding = signal(/** @type {Record<string, any>|null} */ (null));
