import { Dialog, Field, Trouble, useForm } from '../../ui.js';
import { api, get } from '../../api.js';
import { count } from '../../format.js';
import { userOf, who } from './sessions.js';
import { html, signal } from '../../vendor/preact.js';

/** @typedef {{id:any, what:string, clicked:number, answered:number, receipt:any, servers:any[]}} Receipt */

const receipts = signal(/** @type {Receipt[]} */ ([]));

/** Follows a receipt for five seconds: each server adds its line as it has closed its sockets. @param {Receipt} r */
async function follow(r) {
  for (let i = 0; i < 10 && r.id; i++) {
    const found = await get(`/api/admin/revocations/${r.id}`).catch(() => null);
    if (found?.servers?.length && found.servers.length !== r.servers.length) {
      r.servers = found.servers;
      receipts.value = [...receipts.value];
    }
    await new Promise((next) => setTimeout(next, 500));
  }
}

/** @param {string} what @param {() => Promise<any>} act */
async function revoke(what, act) {
  const clicked = performance.now();
  const receipt = await act();
  /** @type {Receipt} */ const r = { id: receipt?.id, what, clicked, answered: Math.round(performance.now() - clicked), receipt, servers: [] };
  receipts.value = [r, ...receipts.value].slice(0, 20);
  follow(r);
}

export const Receipts = () => (receipts.value.length ? html`<section class="card" aria-labelledby="receipts"><header><h2 id="receipts">Receipts</h2></header><ol class="pad log" role="log">
  ${receipts.value.map((r) => html`<li key=${r.id ?? r.clicked}>${r.what}: ${count(r.receipt?.sessions ?? 1)} sessions, ${count(r.receipt?.sockets ?? 0)} sockets closed; answered in ${r.answered} ms${r.receipt?.durable === false ? '; not durable yet' : ''}${r.receipt?.redis && r.receipt.redis !== 'ok' ? `; Redis: ${r.receipt.redis}` : ''}
    ${r.servers.map((s) => html`<br />   server ${s.server}: ${count(s.sockets)} sockets closed (${Number(s.ms).toFixed(1)} ms, heard by ${s.via})`)}</li>`)}</ol></section>` : null);

const titles = /** @type {Record<string, string>} */ ({ one: 'Revoke session', some: 'Revoke sessions', user: 'Revoke all sessions of a user' });

/** @param {{target:any, close:() => void, ended:(ids:string[]) => void}} p */
export function Revoke({ target, close, ended }) {
  const { kind, sessions = [] } = target, s = sessions[0];
  const form = useForm(async ({ reason }) => {
    if (kind === 'user') await revoke(`All of ${who(s)}`, () => api('DELETE', `/api/admin/users/${userOf(s)}/sessions`, { reason }));
    else for (const one of sessions) await revoke(`${who(one)}, ${one.device?.name || 'unnamed device'}`, () => api('DELETE', `/api/admin/sessions/${one.id}`, { reason }));
    ended(kind === 'user' ? [] : sessions.map((/** @type {any} */ x) => x.id));
    close();
  });
  return html`<${Dialog} title=${titles[kind]} close=${close}><form class="stack" onSubmit=${form.submit}>
    <p>${kind === 'one' ? html`The session of <b>${who(s)}</b> on ${s.device?.name || 'an unnamed device'} ends at once, and its sockets close.` : kind === 'some' ? html`<b>${sessions.length} sessions</b> end at once, and their sockets close.`
      : html`Every session of <b>${who(s)}</b> ends at once, on every device.`}</p>
    <${Field} label="Reason" name="reason" required maxlength="200" autofocus hint="Kept in the audit log." error=${form.error} />
    <${Trouble} error=${form.error} fields=${['reason']} />
    <div class="foot"><button type="button" class="btn" onClick=${close}>Cancel</button><button class="btn primary danger" disabled=${form.busy}>Revoke</button></div></form><//>`;
}
