import { Dialog, Field, Trouble, useForm } from '../../ui.js';
import { api, get, stepUp } from '../../api.js';
import { client, conn } from '../../live.js';
import { amount, count } from '../../format.js';
import { overview } from './overview.js';
import { userOf, who } from './sessions.js';
import { html, signal, useEffect, useState } from '../../vendor/preact.js';

/** @typedef {{reason:string, tell:boolean}} Why  tell: the reason is for the user's eyes too */
/** @typedef {{id:any, what:string, answered:number, receipt:any, servers:any[]}} Receipt */

const receipts = signal(/** @type {Receipt[]} */ ([]));

let clicked = 0;
stepUp.subscribe((asking) => { if (!asking) clicked = performance.now(); }); // the time that it takes to type a password does not count

/** Milliseconds since the last click on Revoke; 0 where it was long ago, and what ends was ended by somebody else. */
export function sinceClick() {
  const ms = Math.round(performance.now() - clicked);
  return receipts.peek().length + under && ms < 10000 ? Math.max(1, ms) : 0;
}

/** Follows a receipt for ten seconds: each server adds its line as it has closed its sockets. @param {Receipt} r */
async function follow(r) {
  const until = performance.now() + 10000;
  for (let pause = 50; r.id && performance.now() < until; pause = Math.min(500, pause * 1.5)) {
    const found = await (conn.peek() === 'live' ? client.call('admin.revocation.get', { id: r.id }) : get(`/api/admin/revocations/${r.id}`)).catch(() => null);
    if (found?.servers?.length && JSON.stringify(found.servers) !== JSON.stringify(r.servers)) {
      r.servers = found.servers;
      receipts.value = [...receipts.value];
    }
    await new Promise((next) => setTimeout(next, pause));
  }
}

let under = 0; // acts that were not answered yet

/** @param {string} what @param {() => Promise<any>} act */
async function revoke(what, act) {
  clicked = performance.now();
  under++;
  const receipt = await act().finally(() => { under--; });
  /** @type {Receipt} */ const r = { id: receipt?.id, what, answered: Math.round(performance.now() - clicked), receipt, servers: [] };
  receipts.value = [r, ...receipts.value].slice(0, 100);
  follow(r);
}

/** What a server did: each of its sockets, as far as it tells of them one by one. @param {any} s */
const lines = (s) => html`${s.sockets_ms.slice(0, SHOWN).map((/** @type {number} */ ms, /** @type {number} */ i) => html`<li key=${`${s.server} ${i}`}>socket ${i + 1} on ${s.server} closed (${ms.toFixed(1)} ms)</li>`)}
  <li key=${s.server}>server ${s.server}: ${s.sockets ? `${amount(s.sockets, 'socket')} closed (${s.ms.toFixed(1)} ms` : `no socket (knew after ${s.ms.toFixed(1)} ms`}, via ${s.via})</li>`;

const SHOWN = 20; // sockets of a server; the line after them is of all

export function Receipts() {
  useEffect(takeUp, []);
  return receipts.value.length ? html`<section class="card" aria-labelledby="receipts"><header><h2 id="receipts">Receipts</h2></header><ol class="pad log" role="log">
    ${receipts.value.map((r) => html`<li key=${r.id}>${r.what}: ${r.receipt?.sessions === undefined ? '' : `${amount(r.receipt.sessions, 'session')}, `}${amount(r.servers.length ? r.servers.reduce((n, s) => n + s.sockets, 0) : r.receipt?.sockets ?? 0, 'socket')} closed; answered in ${r.answered} ms${r.receipt?.durable === false ? '; not durable yet' : ''}${r.receipt?.redis && r.receipt.redis !== 'ok' ? `; Redis: ${r.receipt.redis}` : ''}
      ${r.servers.length > 0 && html`<ul>${r.servers.map(lines)}</ul>`}</li>`)}</ol></section>` : null;
}

const titles = /** @type {Record<string, string>} */ ({ one: 'Revoke session', some: 'Revoke sessions', user: 'Revoke all sessions of a user', all: 'Revoke all sessions of everyone' });

/** One after the other until the first was answered, because it may ask for the password; then the rest together. @param {any[]} sessions @param {Why} why */
async function revokeSome([head, ...rest], why) {
  const one = (/** @type {any} */ s) => revoke(`${who(s)}, ${s.device?.name || 'unnamed device'}`, () => api('DELETE', `/api/admin/sessions/${s.id}`, why));
  await one(head);
  await Promise.all(rest.map(one));
}

const LEFT = 'rosetree.receipt'; // of the act that ends this session too: shown after the next log-in

/** @param {Why} why */
async function revokeAll(why) {
  await revoke('Everyone', () => api('POST', '/api/admin/sessions/revoke-all', { ...why, confirm: 'all' }));
  const { what, answered, receipt } = receipts.peek()[0];
  sessionStorage.setItem(LEFT, JSON.stringify({ id: receipt.id, what, answered, receipt, servers: [] }));
}

/** Takes up the receipt that the last session left. */
function takeUp() {
  const left = sessionStorage.getItem(LEFT);
  sessionStorage.removeItem(LEFT);
  if (!left) return;
  /** @type {Receipt} */ const r = JSON.parse(left);
  receipts.value = [r, ...receipts.peek()];
  follow(r);
}

/** @param {{target:any, close:() => void}} p */
export function Revoke({ target, close }) {
  const { kind, sessions = [] } = target, s = sessions[0];
  const [total] = useState(overview.peek()?.sessions ?? NaN); // as it was when the question was asked
  const form = useForm(async ({ reason, tell, count: typed }) => {
    /** @type {Why} */ const why = { reason, tell: !!tell };
    if (kind === 'all' && Number(typed) !== total) throw Object.assign(new Error(`There are ${count(total)} sessions`), { field: 'count' });
    if (kind === 'all') await revokeAll(why);
    else if (kind === 'user') await revoke(`All of ${who(s)}`, () => api('DELETE', `/api/admin/users/${userOf(s)}/sessions`, why));
    else await revokeSome(sessions, why);
    close();
  });
  return html`<${Dialog} title=${titles[kind]} close=${close}><form class="stack" onSubmit=${form.submit}>
    <p>${kind === 'one' ? html`The session of <b>${who(s)}</b> on ${s.device?.name || 'an unnamed device'} ends at once, and its sockets close.` : kind === 'some' ? html`<b>${amount(sessions.length, 'session')}</b> ${sessions.length === 1 ? 'ends' : 'end'} at once, and ${sessions.length === 1 ? 'its' : 'their'} sockets close.`
      : kind === 'user' ? html`Every session of <b>${who(s)}</b> ends at once, on every device.` : html`<b>${count(total)} sessions</b>, everyone's and this one too, end at once on every server, and all their sockets close. The receipt is shown here when you have logged in again.`}</p>
    ${kind === 'all' && html`<${Field} label="How many sessions are that?" name="count" inputmode="numeric" required autofocus autocomplete="off" hint=${`Type ${total} to say that you mean it.`} error=${form.error} />`}
    <${Field} label="Reason" name="reason" required maxlength="200" autofocus=${kind !== 'all'} hint="Kept in the audit log." error=${form.error} />
    <label class="check"><input type="checkbox" name="tell" value="yes" />Tell the user: show the reason on the screens that close</label>
    <${Trouble} error=${form.error} fields=${['reason', 'count']} />
    <div class="foot"><button type="button" class="btn" onClick=${close}>Cancel</button><button class="btn primary danger" disabled=${form.busy}>Revoke</button></div></form><//>`;
}
