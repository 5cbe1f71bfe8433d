import { Rosetree } from './rosetree.js';
import { api, get, renew, renewable, sessionOver } from './api.js';
import { batch, effect, signal } from './vendor/preact.js';

/** @typedef {{id:string, email?:string, display_name?:string, role:string}} User */

/** undefined while it is not known yet, null: nobody. */
export const me = signal(/** @type {User|null|undefined} */ (undefined));
export const session = signal(/** @type {any} */ (null));
export const conn = signal(/** @type {import('./rosetree.js').State} */ ('idle'));
export const rtt = signal(0);
export const retryAt = signal(0);
export const heardAt = signal(0);
/** The connection was there and is gone, through all attempts to have it again. */
export const lost = signal(false);
export const ended = signal(/** @type {import('./rosetree.js').End|null} */ (null));
export const endedAt = signal(0);
export const notices = signal(/** @type {any[]} */ ([]));
export const deadline = signal(/** @type {string|null} */ (null));
export const newBuild = signal(false);
/** Ids of alerts that came true and that nobody has seen. @type {import('./vendor/preact.js').Signal<Set<string>>} */
export const unseen = signal(new Set());

export const client = new Rosetree('/ws', { refused: whyRefused });

/** Who the cookies say it is. Where a legacy log-in's hour is over while the page slept, it is renewed first. */
async function whoIsHere() {
  const status = await get('/api/auth/status');
  return status.refreshable && (await renew()) ? get('/api/auth/status') : status;
}

/** A socket that will not open tells a browser nothing; HTTP does. */
async function whyRefused() {
  const status = await whoIsHere();
  return status.authenticated ? null : { reason: status.reason && status.reason !== 'unauthenticated' ? status.reason : 'session_expired', code: 4501 };
}

client.on('state', (state) => batch(() => {
  conn.value = state;
  retryAt.value = client.retryAt;
  const still = lost.value && (state === 'waiting' || state === 'connecting');
  if (!still) heardAt.value = client.heardAt; // an attempt that failed has heard nothing
  lost.value = still || state === 'waiting';
}));
/** Calls fn when the socket is live after a gap in which something may have been missed: it is a new one, or has rested. @param {() => void} fn */
export function afterGap(fn) {
  let was = client.state;
  return client.on('state', (s) => {
    if (s === 'live' && was !== 'stalled') fn();
    was = s;
  });
}
afterGap(() => batch(() => { // what still holds is told anew
  notices.value = [];
  unseen.value = new Set();
}));
client.on('pong', () => { rtt.value = client.rtt; });
client.on('ended', (end) => batch(() => {
  if (end.reason === 'closed') return;
  endedAt.value = Date.now();
  ended.value = end;
}));
/** @type {Set<string>} */ const dismissed = new Set();
/** @param {string} id of a notice that was read */
export function dismiss(id) {
  dismissed.add(id);
  notices.value = notices.value.filter((o) => o.id !== id);
}
client.on('notice', (n) => {
  const left = n.until ? new Date(n.until).getTime() - Date.now() : Infinity;
  if (left > 0 && dismissed.has(n.id)) return; // after a gap it is told again
  notices.value = [...(left > 0 ? [n] : []), ...notices.value.filter((o) => o.id !== n.id)]; // one that was taken away comes with an end that has passed
  if (left > 0 && left < 86400000) setTimeout(() => { notices.value = notices.value.filter((o) => o.id !== n.id); }, left);
});
client.on('alert', (f) => {
  if (unseen.value.has(f.id)) return; // one may be told twice
  unseen.value = new Set(unseen.value).add(f.id);
  import('./fired.js').then((m) => m.fired(f), () => {});
});
client.on('alerts_seen', (m) => { unseen.value = new Set([...unseen.value].filter((id) => !m.ids.includes(id))); });
client.on('reauth', async (m) => {
  // A legacy log-in's token lasts an hour and its socket no longer: the next one is fetched, and the socket opened again with it.
  if (session.value?.auth === 'legacy' && (await renew())) client.reconnect();
  else deadline.value = m.deadline;
});
let welcomed = false;
client.on('welcome', (m) => {
  deadline.value = null;
  if (m.session) session.value = { ...session.value, ...m.session };
  if (welcomed) checkBuild(); // the first one comes from the server that sent this page
  welcomed = true;
});
client.on('heartbeat', () => { heardAt.value = client.heardAt; });

effect(() => { renewable.value = session.value?.auth === 'legacy'; });

effect(() => {
  const p = sessionOver.value;
  if (p && me.peek() && !ended.peek()) {
    client.close();
    ended.value = { reason: p.code === 'unauthenticated' ? 'session_expired' : p.code, code: 4501 };
  }
});

/** Another build on the server: said, never loaded by itself, because someone may be typing. */
async function checkBuild() {
  const mine = document.querySelector('meta[name=build]')?.getAttribute('content') ?? '';
  const theirs = await get('/assets/build').catch(() => '');
  if (theirs && !mine.includes(theirs)) newBuild.value = true;
}

/** Asks who is here, and opens the socket for them. */
export async function begin() {
  const status = await whoIsHere();
  batch(() => {
    session.value = status.session ?? null;
    me.value = status.authenticated ? status.user : null;
  });
  if (me.value) follow();
  return me.value;
}

/** After log-in: the answer already says who it is. @param {any} answer */
export function begun(answer) {
  batch(() => {
    session.value = answer.session ?? null;
    me.value = answer.user;
  });
  follow();
}

function follow() {
  client.connect();
  for (const channel of ['notices', 'alerts']) client.follow(channel);
}

/** Leaves nothing behind: the page is replaced, so that its memory goes too. */
export async function logOut() {
  client.close();
  await api('POST', '/api/auth/logout', undefined, { quiet: true }).catch(() => null);
  location.replace('/login');
}

/** The cookie's session lives on by being used; the server re-reads it before it would close the socket. */
export async function stayIn() {
  await api('POST', '/api/auth/refresh', {});
  deadline.value = null;
}

addEventListener('pageshow', (e) => e.persisted && location.reload()); // a page from the back-forward cache may be somebody else's by now
