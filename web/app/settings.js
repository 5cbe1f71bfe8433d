import { signal } from './vendor/preact.js';

/**
 * How this person wants things shown; kept in this browser only. theme.js reads the same before the first paint.
 * @typedef {{theme:'auto'|'light'|'dark', palette:'green-red'|'blue-orange'|'red-up', density:'comfortable'|'compact', locale:string, timeZone:string, hide:boolean, columns:string[]|null, sort:string, group:string, portfolio:string}} Settings
 */
/** @type {Settings} */
const initial = { theme: 'auto', palette: 'green-red', density: 'comfortable', locale: '', timeZone: '', hide: false, columns: null, sort: '-value', group: '', portfolio: '' };

const KEY = 'rosetree.settings';

/** @returns {Settings} */
function read() {
  try {
    return { ...initial, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
  } catch {
    return { ...initial };
  }
}

export const settings = signal(read());

/** @param {Partial<Settings>} change */
export function set(change) {
  settings.value = { ...settings.value, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(settings.value));
  } catch { /* storage is off: the choice holds until the page goes */ }
  show();
}

function show() {
  const { theme, palette, density } = settings.value, { dataset } = document.documentElement;
  if (theme === 'auto') delete dataset.theme;
  else dataset.theme = theme;
  dataset.palette = palette;
  dataset.density = density;
  if (settings.value.hide) dataset.hide = '';
  else delete dataset.hide;
}

show();

addEventListener('storage', (e) => {
  if (e.key === KEY) settings.value = read(), show();
});

/** The theme that is on screen now, for what CSS cannot reach (canvas). */
export const isDark = () => {
  const { theme } = settings.value;
  return theme === 'dark' || (theme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
};

export function nextTheme() {
  set({ theme: isDark() ? 'light' : 'dark' });
}
