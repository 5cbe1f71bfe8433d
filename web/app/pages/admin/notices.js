import { Field, Trouble, toast, useAsked, useForm } from '../../ui.js';
import { api, get, post } from '../../api.js';
import { afterGap, client } from '../../live.js';
import { time } from '../../format.js';
import { html, useEffect } from '../../vendor/preact.js';

/** A local date and time of a form, as an instant; nothing stays nothing. @param {string} text */
const instant = (text) => (text ? new Date(text).toISOString() : undefined);

/** Banners for everyone who is connected, and for those who come while they last. */
export function Notices() {
  const planned = useAsked(() => get('/api/admin/notices'), []);
  useEffect(() => {
    const off = [client.on('notice', planned.again), afterGap(planned.again)]; // also what another administrator sends
    return () => off.forEach((f) => f());
  }, []);
  const form = useForm(async ({ level, text, from, until }, el) => {
    await post('/api/admin/notices', { level, text, from: instant(from), until: instant(until) });
    el.reset();
    toast(from ? 'Notice planned' : 'Notice sent');
    planned.again();
  });
  const remove = (/** @type {string} */ id) => api('DELETE', `/api/admin/notices/${id}`).then(() => { toast('Notice taken away'); planned.again(); }, (e) => toast(e.message));
  const list = planned.data?.notices ?? [];
  return html`<div class="two"><section class="card" aria-labelledby="send"><header><h2 id="send">Send a notice</h2></header><form class="pad stack" onSubmit=${form.submit}>
      <${Field} label="Text" name="text" required maxlength="1000" error=${form.error} />
      <${Field} label="Level" name="level" error=${form.error}><select id="f-level" name="level"><option value="info">Info</option><option value="warning">Warning</option><option value="critical">Critical</option></select><//>
      <div class="grid2"><${Field} label="From" name="from" type="datetime-local" hint="Empty: now" error=${form.error} /><${Field} label="Until" name="until" type="datetime-local" hint="Empty: until it is taken away" error=${form.error} /></div>
      <${Trouble} error=${form.error} fields=${['text', 'level', 'from', 'until']} /><div class="row"><button class="btn primary" disabled=${form.busy}>Send to everyone</button></div></form></section>
    <section class="card" aria-labelledby="shown"><header><h2 id="shown">Shown and planned</h2></header><${Trouble} error=${planned.error} />${list.length ? html`<ul class="parts">${list.map((/** @type {any} */ n) => html`<li key=${n.id}><span class=${`tag ${n.level === 'critical' ? 'bad' : n.level === 'warning' ? 'warn' : ''}`}>${n.level}</span>
      <span class="grow">${n.text}<br /><span class="soft small">${new Date(n.from) > new Date() ? `from ${time(n.from)} ` : ''}${n.until ? `until ${time(n.until)}` : 'until it is taken away'}</span></span><button type="button" class="btn slim danger" onClick=${() => remove(n.id)}>Take away</button></li>`)}</ul>` : html`<p class="empty">None.</p>`}</section></div>`;
}
