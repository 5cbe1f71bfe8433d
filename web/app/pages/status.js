import { useAsked } from '../ui.js';
import { get } from '../api.js';
import { client } from '../live.js';
import { time } from '../format.js';
import { Health, useHealth } from './health.js';
import { html, useEffect, useState } from '../vendor/preact.js';

export default function Status() {
  const [at, setAt] = useState(Date.now());
  useEffect(() => {
    document.title = 'Status · Rosetree';
    return client.on('notice', () => board.again()); // sooner for those who are logged in
  }, []);
  const board = useAsked(() => get('/api/notices'), []);
  const health = useHealth(() => { setAt(Date.now()); board.again(); });
  // What people were told is wrong counts also where every part answers.
  const trouble = !!board.data?.now.some((/** @type {any} */ n) => n.level === 'critical'), worst = health.state === 'down' ? 'down' : 'degraded';
  return html`<div class="pagehead"><h1>Status</h1><span class="soft small">checked ${time(at, { timeStyle: 'medium' })}, every ten seconds</span></div>
    <${Health} of=${trouble ? { ...health, state: worst } : health}>${trouble && html`<${List} id="now" title="Now" list=${board.data.now} />`}<//>
    ${board.data ? html`${!trouble && html`<${List} id="now" title="Now" list=${board.data.now} none="No notice." />`}
      ${board.data.planned.length > 0 && html`<${List} id="planned" title="Planned" list=${board.data.planned} />`}
      <${List} id="past" title="The last 14 days" list=${board.data.past} none="Nothing happened." />` : board.error && html`<p class="problem">Notices cannot be read now: ${board.error.message}</p>`}`;
}

/** @param {{id:string, title:string, list:any[], none?:string}} p */
const List = ({ id, title, list, none }) => html`<section class="card" aria-labelledby=${id}><header><h2 id=${id}>${title}</h2></header>
  ${list.length ? html`<ul class="parts">${list.map((n) => html`<li key=${n.id}><span class=${`tag ${n.level === 'critical' ? 'bad' : n.level === 'warning' ? 'warn' : ''}`}>${n.level}</span>
    <span class="grow">${n.text}<br /><span class="soft small">${time(n.from)}${n.until ? ` – ${time(n.until)}` : ''}</span></span></li>`)}</ul>` : html`<p class="pad soft">${none}</p>`}</section>`;

