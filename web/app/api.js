import { signal } from './vendor/preact.js';

/** What the server refused, as its problem document says. */
export class Problem extends Error {
  /** @param {number} status @param {{code?:string, detail?:string, title?:string, field?:string}} p */
  constructor(status, p) {
    super(p.detail || p.title || `the server answered ${status}`);
    this.status = status;
    this.code = p.code ?? 'internal';
    this.field = p.field;
  }
}

/** The prompt for the password that an admin act may ask for; shown by StepUp. */
export const stepUp = signal(/** @type {{done:(ok:boolean) => void}|null} */ (null));

/** Told of every answer that says that the session is over. */
export const sessionOver = signal(/** @type {Problem|null} */ (null));

/** The page lives on a legacy log-in: an answer 401 may only mean that its hour is over. */
export const renewable = signal(false);

const OVER = ['unauthenticated', 'session_revoked', 'session_expired', 'locked_down'];

/** A proof of the password gives the session another secret. What was under way with the old one is refused, and is asked again. */
let proving = Promise.resolve(), provenAt = 0;

/**
 * @param {string} method @param {string} path @param {any} [body] @param {{key?:string, text?:boolean, quiet?:boolean, again?:boolean}} [options]
 * key: an Idempotency-Key; text: the body is CSV or the like and the answer is wanted as it is
 * @returns {Promise<any>}
 */
export async function api(method, path, body, options = {}) {
  /** @type {Record<string, string>} */ const headers = {};
  if (body !== undefined) headers['Content-Type'] = options.text ? 'text/plain' : 'application/json';
  if (options.key) headers['Idempotency-Key'] = options.key;
  const began = performance.now(), proves = path === '/api/auth/step-up';
  let proved = () => {}, res;
  if (proves) proving = new Promise((done) => { proved = done; });
  try {
    res = await fetch(path, { method, headers, body: body === undefined ? undefined : options.text ? body : JSON.stringify(body) });
    if (proves && res.ok) provenAt = performance.now();
  } catch {
    throw new Problem(0, { code: 'unavailable', detail: 'The server cannot be reached. Check the connection and try again.' });
  } finally {
    proved();
  }
  if (res.ok) return res.status === 204 ? null : /json/.test(res.headers.get('Content-Type') ?? '') ? res.json() : res.text();
  const problem = new Problem(res.status, await res.json().catch(() => ({})));
  if (problem.code === 'step_up_required' && (await new Promise((done) => { stepUp.value = { done }; }))) return api(method, path, body, options);
  if (problem.code === 'unauthenticated' && renewable.value && !options.again && (await renew())) return api(method, path, body, { ...options, again: true });
  if (res.status === 401 && !options.again) {
    await proving;
    if (began < provenAt) return api(method, path, body, { ...options, again: true });
  }
  if (res.status === 503 && method === 'GET' && !options.again) { // for a moment a store did not answer: to read twice does no harm
    await new Promise((r) => setTimeout(r, Math.min(2, Number(res.headers.get('Retry-After')) || 1) * 1000));
    return api(method, path, body, { ...options, again: true });
  }
  if (OVER.includes(problem.code) && !options.quiet) sessionOver.value = problem;
  throw problem;
}

/** @type {Promise<boolean>|null} */
let renewing = null;

/** Other tokens in the cookies, fetched once for all that need them at the same time. True where there are some. */
export const renew = () => (renewing ??= api('POST', '/api/auth/refresh', {}, { quiet: true, again: true }).then(() => true, () => false).finally(() => { renewing = null; }));

export const get = (/** @type {string} */ path) => api('GET', path);
export const post = (/** @type {string} */ path, /** @type {any} */ body = {}, /** @type {{key?:string}|undefined} */ options = undefined) => api('POST', path, body, options);

/** A path with a query, left out where a value is empty. @param {string} path @param {Record<string, any>} query */
export function url(path, query) {
  const q = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== undefined && v !== null && v !== ''));
  return q.size ? `${path}?${q}` : path;
}
