import { Dialog, Field, Icon, Menu, Toasts, Trouble, useForm, whileShown } from './ui.js';
import { post, stepUp } from './api.js';
import { client, conn, deadline, dismiss, ended, endedAt, heardAt, logOut, lost, me, newBuild, notices, retryAt, rtt, stayIn, unseen } from './live.js';
import { isDark, nextTheme, set, settings } from './settings.js';
import { span, time } from './format.js';
import { path } from './nav.js';
import { Keys } from './keys.js';
import { html, useEffect, useRef, useState } from './vendor/preact.js';

const logo = document.querySelector(/** @type {'link'} */ ('link[rel=icon]'))?.href;

const links = /** @type {const} */ ([['/', 'Portfolio', 'home'], ['/activity', 'Activity', 'activity'], ['/watchlists', 'Watch', 'watch'], ['/alerts', 'Alerts', 'bell'], ['/sessions', 'Sessions', 'devices'], ['/admin', 'Admin', 'admin']]);

/** Redraws its caller every second, for ages and countdowns. */
function useSecond(on = true) {
  const [, turn] = useState(0);
  useEffect(() => {
    if (!on) return;
    return whileShown(1000, () => turn((n) => n + 1));
  }, [on]);
}

/** Live 12 ms · Stalled 4 s · Reconnecting in 3 s [now] · Offline · Signed out */
function Pill() {
  const state = conn.value;
  useSecond(state === 'waiting' || state === 'stalled');
  /** @type {Record<string, any>} */
  const text = {
    idle: 'Offline', connecting: 'Connecting', live: rtt.value ? `Live ${Math.max(1, Math.round(rtt.value))} ms` : 'Live',
    stalled: `Stalled ${span(Date.now() - heardAt.value)}`, suspended: 'Resting', ended: 'Signed out',
    waiting: navigator.onLine === false ? 'Offline' : html`Reconnecting in ${span(retryAt.value - Date.now())} <button type="button" onClick=${() => client.reconnect()}>now</button>`,
  };
  return html`<span class="pill" data-state=${state}>${text[state]}</span>`;
}

function Top() {
  const user = me.value, hide = settings.value.hide;
  const shown = links.filter(([to]) => to !== '/admin' || user?.role === 'admin');
  const news = (/** @type {string} */ to) => to === '/alerts' && unseen.value.size > 0 && html`<b class="news">${unseen.value.size}<span class="sr"> new</span></b>`;
  const at = (/** @type {string} */ to) => (path.value === to ? 'page' : undefined);
  return html`<header class="top"><div>
      <a class="brand" href="/" aria-label="Rosetree"><img src=${logo} alt="" /><span class="wide">rosetree</span></a>
      ${user && html`<nav class="nav" aria-label="Pages">${shown.map(([to, text]) => html`<a href=${to} aria-current=${at(to)}>${text}${news(to)}</a>`)}</nav>`}
      <span class="grow"></span>
      ${user && html`<span role="status"><${Pill} /></span>`}
      <button type="button" class="btn quiet icon" title="Light or dark (t)" aria-label=${isDark() ? 'Light theme' : 'Dark theme'} onClick=${nextTheme}><${Icon} name="sun" /></button>
      ${user && html`<button type="button" class="btn quiet icon" title="Hide amounts (p)" aria-label="Hide amounts" aria-pressed=${hide ? 'true' : 'false'} onClick=${() => set({ hide: !hide })}><${Icon} name="eye" /></button>
      <${Menu} title="Account" label=${html`<span class="sr">Account</span><span class="wide">${user.display_name || user.email || 'Account'}</span><${Icon} name="down" size="14" />`}>
        <p class="who">${user.display_name && html`<b>${user.display_name}</b><br />`}${user.email}</p>
        <a href="/settings">Settings</a><a href="/sessions">Sessions</a><a href="/status">Status</a><a href="/docs">Documentation</a><hr />
        <button type="button" onClick=${logOut}>Log out</button>
      <//>`}
      ${!user && html`<a class="btn slim" href="/login">Log in</a>`}
    </div></header>
    ${user && html`<nav class="bottom" aria-label="Pages, below">${shown.map(([to, text, icon]) => html`<a href=${to} aria-current=${at(to)}><${Icon} name=${icon} size="20" />${text}${news(to)}</a>`)}</nav>`}`;
}

const reasons = /** @type {Record<string, (who:string) => string>} */ ({
  session_revoked: (who) => `This session was ended${who}.`,
  session_expired: () => 'This session has reached its end. Log in again to go on.',
  signed_out: () => 'You signed out of this session.',
  locked_down: () => 'Rosetree is locked down: only administrators may use it now.',
  forbidden: () => 'This account may not use Rosetree any more.',
  replaced: () => 'You signed in on another device, and the limit of sessions gave its place to that one.',
  too_many_connections: () => 'There are too many open windows of this account. Close one and try again.',
  protocol_error: () => 'This page is out of step with the server. Reload it.',
});
const names = /** @type {Record<string, string>} */ ({ admin: ' by an administrator', user: ' by you, from another device', system: ' by the system' });

/** Says who ended the session and when. No redirect: whoever sits here should see why the figures went. */
function Ended() {
  const end = ended.value;
  if (!end) return null;
  const say = reasons[end.reason] ?? (() => `The server ended this connection (${end.reason}).`);
  return html`<${Dialog} title=${end.reason === 'signed_out' ? 'Signed out' : 'Session ended'} alert>
    <p data-reason=${end.reason}>${say(names[end.by ?? ''] ?? '')}</p>
    ${end.text && html`<blockquote>${end.text}</blockquote>`}
    <p class="soft small">${time(end.at ?? endedAt.value ?? Date.now(), { dateStyle: 'medium', timeStyle: 'medium' })}. Your amounts were removed from this page.</p>
    <div class="foot"><button type="button" class="btn primary" autofocus onClick=${() => location.replace('/login')}>Log in again</button></div>
  <//>`;
}

function StepUp() {
  const form = useForm(async ({ password }) => {
    await post('/api/auth/step-up', { password });
    finish(true);
  });
  const finish = (/** @type {boolean} */ ok) => {
    stepUp.value?.done(ok);
    stepUp.value = null;
  };
  return html`<${Dialog} title="Confirm it is you" close=${() => finish(false)}>
    <p class="soft">This act ends sessions or turns switches, so it asks for your password again.</p>
    <form onSubmit=${form.submit} class="stack">
      <input type="text" name="email" autocomplete="username" value=${me.value?.email} hidden readonly />
      <${Field} label="Password" name="password" type="password" autocomplete="current-password" required autofocus error=${form.error} />
      <${Trouble} error=${form.error} fields=${['password']} />
      <div class="foot"><button type="button" class="btn" onClick=${() => finish(false)}>Cancel</button><button class="btn primary" disabled=${form.busy}>Confirm</button></div>
    </form><//>`;
}

function Banners() {
  const left = deadline.value && !ended.value ? new Date(deadline.value).getTime() - Date.now() : 0;
  useSecond(left > 0);
  const [busy, setBusy] = useState(false);
  return html`<div role="status">
    ${me.value && lost.value && html`<p class="banner warning">Not connected. What you see is from ${time(heardAt.value, { timeStyle: 'medium' })} and does not move.<button type="button" class="btn slim" onClick=${() => client.reconnect()}>Connect now</button></p>`}
    ${left > 0 && html`<p class="banner warning">You will be signed out in ${span(left)}.<button type="button" class="btn slim" disabled=${busy} onClick=${() => { setBusy(true); stayIn().finally(() => setBusy(false)); }}>Stay signed in</button></p>`}
    ${newBuild.value && html`<p class="banner">A new version of Rosetree is here.<button type="button" class="btn slim" onClick=${() => location.reload()}>Reload</button></p>`}
    ${notices.value.map((n) => html`<p key=${n.id} class=${`banner ${n.level}`}>${n.text}<button type="button" class="btn slim" onClick=${() => dismiss(n.id)}>Dismiss</button></p>`)}
  </div>`;
}

/** @param {{children?:any}} p */
export function Shell({ children }) {
  const main = useRef(/** @type {HTMLElement|null} */ (null));
  const offline = !!me.value && ['waiting', 'connecting', 'ended'].includes(conn.value);
  return html`<a class="sr" href="#main" onClick=${(/** @type {Event} */ e) => { e.preventDefault(); main.current?.focus(); }}>To the content</a>
    <${Top} /><${Banners} />
    <main id="main" tabindex="-1" ref=${main} class=${offline ? 'offline' : conn.value === 'stalled' ? 'late' : ''}>${ended.value ? null : children}</main>
    ${!ended.value && html`<${Toasts} />`}<${Keys} /><${Ended} />${stepUp.value && html`<${StepUp} />`}`;
}

