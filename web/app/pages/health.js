import { useAsked, whileShown } from '../ui.js';
import { html, useEffect } from '../vendor/preact.js';

const words = /** @type {Record<string, string>} */ ({ ok: 'working', up: 'working', degraded: 'degraded', down: 'down', off: 'switched off' });
const named = /** @type {Record<string, string>} */ ({ postgres: 'Database', postgresql: 'Database', database: 'Database', redis: 'Sessions store', prices: 'Prices', feed: 'Price feed', feeds: 'Price feeds', sockets: 'Live connections', hub: 'Live connections', auth: 'Log-in', rollout: 'Rollout', watch: 'Revocation watch' });

/** A health document, also where it comes with a 503. @param {string} path */
async function health(path) {
  const res = await fetch(path).catch(() => null);
  return res ? { ok: res.ok, body: await res.json().catch(() => null) } : { ok: false, body: null };
}

/** What the server says of its health, asked again every ten seconds while the page is on screen: it is for everybody, and who is not logged in has no socket. @param {() => void} also */
export function useHealth(also) {
  const whole = useAsked(() => health('/api/health'), []);
  const paths = useAsked(() => Promise.all([health('/api/health/auth-v2'), health('/api/health/auth-legacy')]), []);
  useEffect(() => whileShown(10000, () => { whole.again(); paths.again(); also(); }), []);
  return { state: whole.data ? whole.data.body?.status ?? 'down' : null, checks: Object.entries(whole.data?.body?.checks ?? {}), paths: paths.data };
}

const sums = /** @type {Record<string, string>} */ ({ ok: 'Everything works', degraded: 'Rosetree works, though not all of it', down: 'Rosetree is down' });

/** @param {{of:ReturnType<typeof useHealth>, children?:any}} p children: what people should know before the parts */
export const Health = ({ of: { state, checks, paths }, children }) => html`<section class="card big" role="status"><span class=${`dot ${state ?? ''}`}></span>${state === null ? 'Asking …' : sums[state] ?? sums.down}</section>${children}
    <section class="card" aria-labelledby="parts"><header><h2 id="parts">Parts</h2></header><ul class="parts">
      ${checks.map(([name, c]) => part(named[name] ?? name, ...read(c)))}
      ${paths && part('Log-in with sessions', paths[0].ok ? 'ok' : 'off', '')}${paths && part('Log-in with legacy tokens', paths[1].ok ? 'ok' : 'off', '')}</ul></section>`;

/** A check is ok, or one word or sentence of what is wrong. @param {any} c @returns {[string, string]} */
const read = (c) => (typeof c === 'object' && c ? [c.status ?? 'ok', c.detail ?? c.message ?? ''] : words[c] ? [c, ''] : ['down', String(c)]);

/** @param {string} name @param {string} state @param {string} detail */
const part = (name, state, detail) => html`<li key=${name}><span class=${`dot ${state === 'up' ? 'ok' : state}`}></span><span class="grow">${name}${detail && html`<br /><span class="soft small">${detail}</span>`}</span><span class="soft">${words[state] ?? state}</span></li>`;
