import { Field, Trouble, toast, useForm } from '../../ui.js';
import { post } from '../../api.js';
import { notices } from '../../live.js';
import { time } from '../../format.js';
import { html } from '../../vendor/preact.js';

/** A banner for everyone who is connected, and for those who come while it lasts. */
export function Notices() {
  const form = useForm(async ({ level, text, minutes }, el) => {
    await post('/api/admin/notices', { level, text, until: new Date(Date.now() + Number(minutes) * 60000).toISOString() });
    el.reset();
    toast('Notice sent');
  });
  return html`<div class="two"><section class="card" aria-labelledby="send"><header><h2 id="send">Send a notice</h2></header><form class="pad stack" onSubmit=${form.submit}>
      <${Field} label="Text" name="text" required maxlength="500" error=${form.error} />
      <div class="grid2"><${Field} label="Level" name="level" error=${form.error}><select id="f-level" name="level"><option value="info">Info</option><option value="warning">Warning</option><option value="critical">Critical</option></select><//>
        <${Field} label="For how many minutes" name="minutes" type="number" min="1" max="10080" value="60" required error=${form.error} /></div>
      <${Trouble} error=${form.error} fields=${['text', 'level']} /><div class="row"><button class="btn primary" disabled=${form.busy}>Send to everyone</button></div></form></section>
    <section class="card" aria-labelledby="shown"><header><h2 id="shown">Shown now</h2></header>${notices.value.length ? html`<ul class="parts">${notices.value.map((n) => html`<li key=${n.id}><span class=${`tag ${n.level === 'critical' ? 'bad' : n.level === 'warning' ? 'warn' : ''}`}>${n.level}</span><span class="grow">${n.text}</span><span class="soft small">until ${time(n.until)}</span></li>`)}</ul>` : html`<p class="empty">None.</p>`}</section></div>`;
}
