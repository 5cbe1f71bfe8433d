import { Dialog, Field, Trouble, toast, useAsked, useForm } from '../ui.js';
import { api, get, url } from '../api.js';
import { client } from '../live.js';
import { ago, count, time } from '../format.js';
import { html, useEffect, useState } from '../vendor/preact.js';

export default function Admin() {
  useEffect(() => { document.title = 'Admin · Rosetree'; }, []);
  return html`<div class="pagehead"><h1>Admin</h1></div><${Overview} /><${Sessions} />`;
}

function Overview() {
  const asked = useAsked(() => get('/api/admin/overview'), []);
  useEffect(() => {
    const t = setInterval(() => !document.hidden && asked.again(), 3000);
    return () => clearInterval(t);
  }, []);
  const o = asked.data;
  if (!o) return null;
  return html`<dl class="card kpis">${Object.entries(o).filter(([, v]) => typeof v === 'number').map(([k, v]) => html`<div key=${k}><dt>${k.replace(/_/g, ' ')}</dt><dd>${count(/** @type {number} */ (v))}</dd></div>`)}</dl>`;
}

function Sessions() {
  const [q, setQ] = useState('');
  const asked = useAsked(() => get(url('/api/admin/sessions', { q })), [q]);
  const [revoking, revoke] = useState(/** @type {any} */ (null));
  const list = asked.data?.sessions ?? [];
  useEffect(() => {
    const leave = client.follow('sessions'), off = client.on('session', asked.again);
    return () => { leave(); off(); };
  }, []);
  return html`<section class="card" aria-labelledby="live"><header><h2 id="live">Live sessions</h2><span class="grow"></span>
      <input type="search" class="search" placeholder="User, e-mail, address …" aria-label="Search sessions" value=${q} onInput=${(/** @type {any} */ e) => setQ(e.target.value)} /></header>
    <${Trouble} error=${asked.error} />
    <div class="scroll"><table><thead><tr><th scope="col">User</th><th scope="col">Session</th><th scope="col">Path</th><th scope="col">Device</th><th scope="col">Address</th><th scope="col">Since</th><th scope="col" class="num">Sockets</th><th scope="col">Last seen</th><th scope="col"><span class="sr">Acts</span></th></tr></thead>
      <tbody>${list.map((/** @type {any} */ s) => html`<tr key=${s.id} data-session=${s.id}><td>${s.user?.email ?? s.email ?? s.user}</td><td><code>${s.id.slice(0, 14)}…</code></td><td>${s.auth ?? s.via}</td><td>${s.device?.name || '–'}</td><td>${s.ip || '–'}</td><td>${time(s.created_at)}</td><td class="num">${s.sockets ?? 0}</td><td>${ago(s.last_seen_at)}</td>
        <td class="act"><button type="button" class="btn slim danger" onClick=${() => revoke(s)}>Revoke</button></td></tr>`)}</tbody></table></div></section>
    ${revoking && html`<${Revoke} session=${revoking} close=${() => revoke(null)} done=${asked.again} />`}`;
}

/** @param {{session:any, close:() => void, done:() => void}} p */
function Revoke({ session, close, done }) {
  const form = useForm(async ({ reason }) => {
    const began = performance.now();
    const receipt = await api('DELETE', `/api/admin/sessions/${session.id}`, { reason });
    toast(`Ended: ${count(receipt?.sockets ?? 0)} sockets closed here in ${Math.round(performance.now() - began)} ms`);
    close();
    done();
  });
  return html`<${Dialog} title="Revoke session" close=${close}><form class="stack" onSubmit=${form.submit}>
    <p>The session of <b>${session.user?.email ?? session.email ?? session.user}</b> on ${session.device?.name || 'an unnamed device'} ends at once, and its sockets close.</p>
    <${Field} label="Reason" name="reason" required maxlength="200" autofocus hint="Kept in the audit log." error=${form.error} /><${Trouble} error=${form.error} fields=${['reason']} />
    <div class="foot"><button type="button" class="btn" onClick=${close}>Cancel</button><button class="btn primary danger" disabled=${form.busy}>Revoke</button></div></form><//>`;
}
