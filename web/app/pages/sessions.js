import { Dialog, Field, Icon, Trouble, toast, useAsked, useForm, whileShown } from '../ui.js';
import { api, get } from '../api.js';
import { afterGap, client, logOut } from '../live.js';
import { ago, time } from '../format.js';
import { html, useEffect, useState } from '../vendor/preact.js';

/** @typedef {{id:string, device?:{name?:string, platform?:string}, user_agent?:string, ip?:string, created_at?:string, last_seen_at?:string, expires_at?:string, current?:boolean, sockets?:number, auth?:string}} Session */

/** "Firefox · Windows", as far as a browser tells. @param {string|undefined} ua */
export function agent(ua = '') {
  const os = /Android|iPhone|iPad|Windows|Mac OS X|CrOS|Linux/.exec(ua)?.[0].replace('Mac OS X', 'macOS');
  const browser = /Edg|Firefox|OPR|Chrome|Safari|curl|Go-http-client/.exec(ua)?.[0].replace('Edg', 'Edge').replace('OPR', 'Opera').replace('Go-http-client', 'Program');
  return [browser, os].filter(Boolean).join(' · ') || '–';
}

const why = /** @type {Record<string, string>} */ ({ session_revoked: 'ended', revoked: 'ended', session_expired: 'expired', expired: 'expired', signed_out: 'signed out', replaced: 'gave its place to a newer session', password_changed: 'ended by a new password' });

const names = /** @type {Record<string, string>} */ ({ admin: 'an administrator', user: 'you', system: 'the system', operator: 'the operator' });

export default function Sessions() {
  const asked = useAsked(() => get('/api/auth/sessions'), []);
  const [renaming, rename] = useState(/** @type {Session|null} */ (null));
  useEffect(() => {
    document.title = 'Sessions · Rosetree';
    const off = [client.follow('devices'), client.on('device', (n) => (n.event === 'sockets' ? counted(n) : asked.again())),
      afterGap(asked.again),
      whileShown(60000, asked.again)]; // when last seen: of requests nobody tells
    return () => off.forEach((f) => f());
  }, []);
  const counted = (/** @type {any} */ n) => asked.change((/** @type {any} */ d) => ({ ...d, sessions: d.sessions.map((/** @type {Session} */ s) => (s.id === n.id ? { ...s, sockets: n.sockets } : s)) }));
  const end = async (/** @type {string} */ path, /** @type {string} */ said) => {
    await api('DELETE', path).then(() => toast(said), (/** @type {any} */ e) => toast(e.message));
    asked.again();
  };
  const list = /** @type {Session[]} */ (asked.data?.sessions ?? []), past = asked.data?.ended ?? [];
  return html`<div class="pagehead"><h1>Sessions</h1>
      <button type="button" class="btn danger" disabled=${list.length < 2} onClick=${() => end('/api/auth/sessions?others=true', 'All other sessions were signed out')}>Sign out all others</button></div>
    <p class="soft">Every device that is signed in to your account. What you end here is gone at once, also where its window is open.</p>
    <${Trouble} error=${asked.error} />
    <ul class="devices">${list.map((s) => html`<li class="card device" key=${s.id} data-session=${s.id}>
      <div class="title"><${Icon} name="devices" /><span>${s.device?.name || 'Unnamed device'}</span><button type="button" class="btn quiet icon slim" aria-label=${`Rename ${s.device?.name || 'device'}`} onClick=${() => rename(s)}><${Icon} name="edit" size="15" /></button>
        <span class="grow"></span>${s.current ? html`<span class="tag accent">This device</span>` : (s.sockets ?? 0) > 0 && html`<span class="tag good">online</span>`}</div>
      <dl><dt>Browser</dt><dd>${agent(s.user_agent)}</dd><dt>Address</dt><dd>${s.ip || '–'}</dd><dt>Signed in</dt><dd>${time(s.created_at)}</dd>
        <dt>Last seen</dt><dd>${ago(s.last_seen_at)}</dd><dt>Open windows</dt><dd>${s.sockets ?? 0}</dd><dt>Ends</dt><dd>${time(s.expires_at)}</dd></dl>
      <div class="row"><span class="grow"></span>${s.current ? html`<button type="button" class="btn slim" onClick=${logOut}>Log out</button>`
        : html`<button type="button" class="btn slim danger" onClick=${() => end(`/api/auth/sessions/${s.id}`, `${s.device?.name || 'The session'} was signed out`)}>Sign out</button>`}</div></li>`)}</ul>
    ${past.length > 0 && html`<section class="card past" aria-labelledby="past"><header><h2 id="past">Recently ended</h2></header><div class="scroll"><table><thead><tr><th scope="col">Device</th><th scope="col" class="wide">Address</th><th scope="col">Ended</th><th scope="col">Why</th></tr></thead>
      <tbody>${past.map((/** @type {any} */ s) => html`<tr key=${s.id}><td>${s.device?.name || 'Unnamed device'}</td><td class="wide">${s.ip || '–'}</td><td>${time(s.ended_at)}</td><td>${why[s.reason ?? s.end_reason] ?? s.reason ?? s.end_reason ?? '–'}${s.by || s.ended_by ? ` by ${names[s.by ?? s.ended_by] ?? s.by ?? s.ended_by}` : ''}</td></tr>`)}</tbody></table></div></section>`}
    ${renaming && html`<${Rename} session=${renaming} close=${() => rename(null)} done=${asked.again} />`}`;
}

/** @param {{session:Session, close:() => void, done:() => void}} p */
function Rename({ session, close, done }) {
  const form = useForm(async ({ name }) => {
    await api('PATCH', `/api/auth/sessions/${session.id}`, { name });
    close();
    done();
  });
  return html`<${Dialog} title="Rename device" close=${close}><form class="stack" onSubmit=${form.submit}>
    <${Field} label="Name" name="name" required maxlength="80" defaultValue=${session.device?.name} autofocus error=${form.error} /><${Trouble} error=${form.error} fields=${['name']} />
    <div class="foot"><button class="btn primary" disabled=${form.busy}>Save</button></div></form><//>`;
}
