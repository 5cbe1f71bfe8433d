import { settings } from './settings.js';

// Money arrives as decimal strings and stays one: Intl formats strings to the last digit, a float would not.

/** @typedef {string|number|null|undefined} Amount */

/** @type {Map<string, Intl.NumberFormat>} */ const numbers = new Map();

/** @param {Intl.NumberFormatOptions} options */
function number(options) {
  const locale = settings.value.locale || undefined;
  const key = locale + JSON.stringify(options);
  let f = numbers.get(key);
  if (!f) numbers.set(key, f = new Intl.NumberFormat(locale, options));
  return f;
}

/** @param {Amount} v @param {Intl.NumberFormatOptions} options */
function show(v, options) {
  if (v === null || v === undefined || v === '') return '–';
  return number(options).format(/** @type {any} */ (v)).replace('-', '−');
}

/** @type {Map<string, number>} */ const minor = new Map();

/** Digits after the point of a currency. @param {string} currency */
function digits(currency) {
  let d = minor.get(currency);
  if (d === undefined) {
    try {
      d = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
    } catch {
      d = 2;
    }
    minor.set(currency, d);
  }
  return d;
}

export const hidden = '•••••';

/** An amount of money of one's own: hidden where amounts are. @param {Amount} v @param {string} currency @param {boolean} [sign] */
export function money(v, currency, sign) {
  if (settings.value.hide && v !== null && v !== undefined) return hidden;
  const d = digits(currency);
  return show(v, { minimumFractionDigits: d, maximumFractionDigits: d, signDisplay: sign ? 'exceptZero' : 'auto' });
}

/** @param {Amount} v */
export function quantity(v) {
  if (settings.value.hide && v !== null && v !== undefined) return hidden;
  return show(v, { maximumFractionDigits: 8 });
}

/** @type {Map<string, number>} */ const decimals = new Map();

/** A price with its instrument's decimals: as many as were ever seen, so that columns stand still. @param {Amount} v @param {string} symbol */
export function price(v, symbol) {
  if (v === null || v === undefined) return '–';
  const seen = String(v).split('.')[1]?.length ?? 0;
  const d = Math.min(8, Math.max(2, seen, decimals.get(symbol) ?? 0));
  decimals.set(symbol, d);
  return show(v, { minimumFractionDigits: d, maximumFractionDigits: d });
}

/** @param {Amount} v per cent @param {boolean} [sign] */
export function percent(v, sign = true) {
  if (v === null || v === undefined) return '–';
  return `${show(v, { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: sign ? 'exceptZero' : 'auto' })} %`;
}

/** @param {number|null|undefined} v */
export const count = (v) => show(v, { maximumFractionDigits: 0 });

/** "1 row", "2 rows" @param {number|null|undefined} n @param {string} what */
export const amount = (n, what) => `${count(n)} ${what}${n === 1 ? '' : 's'}`;

/** 1, 0 or −1, read from the text. @param {Amount} v */
export function direction(v) {
  const s = String(v ?? '');
  return s.startsWith('-') ? (/[1-9]/.test(s) ? -1 : 0) : /[1-9]/.test(s) ? 1 : 0;
}

/** @param {string|number|null|undefined} at @param {Intl.DateTimeFormatOptions} [options] */
export function time(at, options = { dateStyle: 'medium', timeStyle: 'short' }) {
  if (!at) return '–';
  const { locale, timeZone } = settings.value;
  return new Intl.DateTimeFormat(locale || undefined, { ...options, timeZone: timeZone || undefined }).format(new Date(at));
}

/** @param {string|number|null|undefined} at */
export const day = (at) => time(at, { dateStyle: 'medium' });

/** "3 s", "5 min", "2 h", "4 d" @param {number} ms */
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  return s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` : s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

/** @param {string|number|null|undefined} at */
export const ago = (at) => (at ? `${span(Date.now() - new Date(at).getTime())} ago` : '–');

/** For sorting and drawing only. @param {Amount} v */
export const float = (v) => (v === null || v === undefined ? NaN : Number(v));
