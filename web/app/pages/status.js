import { useAsked } from '../ui.js';
import { me, notices } from '../live.js';
import { time } from '../format.js';
import { html, useEffect, useState } from '../vendor/preact.js';

const words = /** @type {Record<string, string>} */ ({ ok: 'working', up: 'working', degraded: 'degraded', down: 'down', off: 'switched off' });
const named = /** @type {Record<string, string>} */ ({ postgres: 'Database', postgresql: 'Database', database: 'Database', redis: 'Sessions store', prices: 'Prices', feed: 'Price feed', feeds: 'Price feeds', sockets: 'Live connections', hub: 'Live connections', auth: 'Log-in', rollout: 'Rollout', watch: 'Revocation watch' });

/** A health document, also where it comes with a 503. @param {string} path */
async function health(path) {
  const res = await fetch(path).catch(() => null);
  return res ? { ok: res.ok, body: await res.json().catch(() => null) } : { ok: false, body: null };
}

export default function Status() {
  const [at, setAt] = useState(Date.now());
  useEffect(() => {
    document.title = 'Status · Rosetree';
    const t = setInterval(() => { setAt(Date.now()); whole.again(); paths.again(); }, 10000);
    return () => clearInterval(t);
  }, []);
  const whole = useAsked(() => health('/api/health'), []);
  const paths = useAsked(() => Promise.all([health('/api/health/auth-v2'), health('/api/health/auth-legacy')]), []);
  const state = whole.data ? whole.data.body?.status ?? 'down' : null;
  const checks = Object.entries(whole.data?.body?.checks ?? {});
  return html`<div class="pagehead"><h1>Status</h1><span class="soft small">checked ${time(at, { timeStyle: 'medium' })}, every ten seconds</span></div>
    <section class="card big" role="status"><span class=${`dot ${state ?? ''}`}></span>${state === null ? 'Asking …' : state === 'ok' ? 'Everything works' : state === 'degraded' ? 'Rosetree works, with less than all of it' : 'Rosetree is down'}</section>
    <section class="card" aria-labelledby="parts"><header><h2 id="parts">Parts</h2></header><ul class="parts">
      ${checks.map(([name, c]) => part(named[name] ?? name, ...read(c)))}
      ${paths.data && part('Log-in with sessions', paths.data[0].ok ? 'ok' : 'off', '')}${paths.data && part('Log-in with legacy tokens', paths.data[1].ok ? 'ok' : 'off', '')}</ul></section>
    <section class="card" aria-labelledby="now"><header><h2 id="now">Notices</h2></header><div class="pad">${notices.value.length ? html`<ul class="stack">${notices.value.map((n) => html`<li key=${n.id}><span class=${`tag ${n.level === 'critical' ? 'bad' : n.level === 'warning' ? 'warn' : ''}`}>${n.level}</span> ${n.text}</li>`)}</ul>`
      : html`<p class="soft">${me.value ? 'There are none.' : 'Notices are shown to those who are logged in.'}</p>`}</div></section>`;
}

/** A check is ok, or one word or sentence of what is wrong. @param {any} c @returns {[string, string]} */
const read = (c) => (typeof c === 'object' && c ? [c.status ?? 'ok', c.detail ?? c.message ?? ''] : words[c] ? [c, ''] : ['down', String(c)]);

/** @param {string} name @param {string} state @param {string} detail */
const part = (name, state, detail) => html`<li key=${name}><span class=${`dot ${state === 'up' ? 'ok' : state}`}></span><span class="grow">${name}${detail && html`<br /><span class="soft small">${detail}</span>`}</span><span class="soft">${words[state] ?? state}</span></li>`;
