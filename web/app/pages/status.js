import { useAsked } from '../ui.js';
import { get } from '../api.js';
import { client } from '../live.js';
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
    const t = setInterval(() => { setAt(Date.now()); whole.again(); paths.again(); board.again(); }, 10000);
    const off = client.on('notice', () => board.again()); // sooner for those who are logged in
    return () => { clearInterval(t); off(); };
  }, []);
  const whole = useAsked(() => health('/api/health'), []);
  const paths = useAsked(() => Promise.all([health('/api/health/auth-v2'), health('/api/health/auth-legacy')]), []);
  const board = useAsked(() => get('/api/notices'), []);
  const state = whole.data ? whole.data.body?.status ?? 'down' : null;
  const checks = Object.entries(whole.data?.body?.checks ?? {});
  return html`<div class="pagehead"><h1>Status</h1><span class="soft small">checked ${time(at, { timeStyle: 'medium' })}, every ten seconds</span></div>
    <section class="card big" role="status"><span class=${`dot ${state ?? ''}`}></span>${state === null ? 'Asking …' : state === 'ok' ? 'Everything works' : state === 'degraded' ? 'Rosetree works, with less than all of it' : 'Rosetree is down'}</section>
    <section class="card" aria-labelledby="parts"><header><h2 id="parts">Parts</h2></header><ul class="parts">
      ${checks.map(([name, c]) => part(named[name] ?? name, ...read(c)))}
      ${paths.data && part('Log-in with sessions', paths.data[0].ok ? 'ok' : 'off', '')}${paths.data && part('Log-in with legacy tokens', paths.data[1].ok ? 'ok' : 'off', '')}</ul></section>
    ${board.data ? html`<${List} id="now" title="Now" list=${board.data.now} none="No notice." />
      ${board.data.planned.length > 0 && html`<${List} id="planned" title="Planned" list=${board.data.planned} />`}
      <${List} id="past" title="The last 14 days" list=${board.data.past} none="Nothing happened." />` : board.error && html`<p class="problem">Notices cannot be read now: ${board.error.message}</p>`}`;
}

/** @param {{id:string, title:string, list:any[], none?:string}} p */
const List = ({ id, title, list, none }) => html`<section class="card" aria-labelledby=${id}><header><h2 id=${id}>${title}</h2></header>
  ${list.length ? html`<ul class="parts">${list.map((n) => html`<li key=${n.id}><span class=${`tag ${n.level === 'critical' ? 'bad' : n.level === 'warning' ? 'warn' : ''}`}>${n.level}</span>
    <span class="grow">${n.text}<br /><span class="soft small">${time(n.from)}${n.until ? ` – ${time(n.until)}` : ''}</span></span></li>`)}</ul>` : html`<p class="pad soft">${none}</p>`}</section>`;

/** A check is ok, or one word or sentence of what is wrong. @param {any} c @returns {[string, string]} */
const read = (c) => (typeof c === 'object' && c ? [c.status ?? 'ok', c.detail ?? c.message ?? ''] : words[c] ? [c, ''] : ['down', String(c)]);

/** @param {string} name @param {string} state @param {string} detail */
const part = (name, state, detail) => html`<li key=${name}><span class=${`dot ${state === 'up' ? 'ok' : state}`}></span><span class="grow">${name}${detail && html`<br /><span class="soft small">${detail}</span>`}</span><span class="soft">${words[state] ?? state}</span></li>`;
