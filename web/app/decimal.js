/** The exact product of two decimal strings. @param {string} a @param {string} b */
export function times(a, b) {
  const digits = (/** @type {string} */ s) => s.split('.')[1]?.length ?? 0, scale = digits(a) + digits(b);
  const product = BigInt(a.replace('.', '')) * BigInt(b.replace('.', '')), text = (product < 0n ? -product : product).toString().padStart(scale + 1, '0');
  return `${product < 0n ? '-' : ''}${text.slice(0, text.length - scale)}${scale ? `.${text.slice(-scale)}` : ''}`;
}
