/**
 * A decimal as people type it, to one as the server reads it: 1,234.50 and 1.234,50 and 12,5. What may mean one thing here and
 * another there, as 1,234, is left as it is, and refused.
 * @param {string|undefined} typed
 */
export function decimal(typed) {
  const s = (typed ?? '').replace(/[\s']/g, '');
  if (/^\d{1,3}(,\d{3})+\.\d+$|^\d{1,3}(,\d{3}){2,}$/.test(s)) return s.replace(/,/g, '');
  if (/^\d{1,3}(\.\d{3})+,\d+$|^\d{1,3}(\.\d{3}){2,}$/.test(s)) return s.replace(/\./g, '').replace(',', '.');
  return /^\d+,\d+$/.test(s) && !/^[1-9]\d{0,2},\d{3}$/.test(s) ? s.replace(',', '.') : s;
}

/** The exact product of two decimal strings. @param {string} a @param {string} b */
export function times(a, b) {
  const digits = (/** @type {string} */ s) => s.split('.')[1]?.length ?? 0, scale = digits(a) + digits(b);
  const product = BigInt(a.replace('.', '')) * BigInt(b.replace('.', '')), text = (product < 0n ? -product : product).toString().padStart(scale + 1, '0');
  return `${product < 0n ? '-' : ''}${text.slice(0, text.length - scale)}${scale ? `.${text.slice(-scale)}` : ''}`;
}
