import { Dialog, Field, Trouble, toast, useAsked, useForm } from '../../ui.js';
import { api, get } from '../../api.js';
import { client } from '../../live.js';
import { overview } from './overview.js';
import { percent, time } from '../../format.js';
import { html, useEffect, useState } from '../../vendor/preact.js';

/** The switches of the migration; a change reaches every server within a second. */
export function Rollout() {
  const asked = useAsked(() => get('/api/admin/rollout'), []);
  const [draft, setDraft] = useState(/** @type {number|null} */ (null));
  const [changing, change] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const off = [client.on('rollout', asked.put), client.follow('rollout')];
    return () => off.forEach((f) => f());
  }, []);
  const state = asked.data, r = state?.effective, guard = state?.guard, o = overview.value;
  if (!r) return html`<${Trouble} error=${asked.error} />`;
  const now = draft ?? r.percentage;
  const flip = (/** @type {string} */ text, /** @type {any} */ fields) => change({ text, fields });
  return html`<div class="two"><section class="card" aria-labelledby="share"><header><h2 id="share">Share of users on sessions</h2><span class="grow"></span><span class=${`tag ${r.rollback ? 'bad' : r.enabled ? 'good' : ''}`}>${r.rollback ? 'rolled back' : r.enabled ? 'on' : 'off'}</span></header>
      <div class="pad stack"><p class="total">${now} %</p>
        <div class="slider"><input type="range" min="0" max="100" value=${now} aria-label="Share in per cent" list="steps" onInput=${(/** @type {any} */ e) => setDraft(Number(e.target.value))} /><div class="ticks" aria-hidden="true"><span>0</span><span>25</span><span>50</span><span>75</span><span>100</span></div>
          <datalist id="steps">${[0, 25, 50, 75, 100].map((n) => html`<option value=${n} key=${n} />`)}</datalist></div>
        <div class="row"><button type="button" class="btn primary" disabled=${draft === null || draft === r.percentage} onClick=${() => flip(`${r.percentage} % → ${draft} %`, { percentage: draft, ...(!r.enabled && { enabled: true }) })}>Set to ${now} %</button>
          ${[10, 50, 100].map((n) => html`<button type="button" class="btn slim" key=${n} onClick=${() => setDraft(n)}>${n}</button>`)}<span class="grow"></span>
          ${r.rollback ? html`<button type="button" class="btn" onClick=${() => flip('Forward again', { rollback: false })}>Forward again</button>` : html`<button type="button" class="btn primary danger" onClick=${() => flip('Roll back now', { rollback: true })}>Roll back now</button>`}</div>
        <p class="soft small">Version ${r.version}${r.version && state.at ? `, ${time(state.at)}` : ''}${state.actor ? `, by ${state.actor}` : ''}${state.reason ? `: ${state.reason}` : ''}. A rollback signs nobody out.</p></div></section>
    <section class="card" aria-labelledby="guard"><header><h2 id="guard">Guard</h2><span class="grow"></span><span class=${`tag ${r.rollback && guard ? 'bad' : 'good'}`}>${r.rollback && guard ? 'has rolled back' : 'watching'}</span></header><div class="pad stack">
        <p class="soft">Rolls back by itself when more than 1 % of log-ins fail by our fault, or the 95th percentile of validation stays above 10 ms. Wrong passwords never count.</p>
        <dl class="facts"><div><dt>Error rate now</dt><dd>${percent(o?.error_rate, false)}</dd></div><div><dt>p95 now</dt><dd>${o?.validate_p95_ms === undefined ? '–' : `${Number(o.validate_p95_ms).toFixed(2)} ms`}</dd></div><div><dt>Sockets on sessions</dt><dd>${percent(o?.session_share, false)}</dd></div></dl>
        <p class="small soft">${guard ? `Last decision: ${time(guard.at)}, because of ${guard.cause === 'latency' ? `a p95 of ${guard.p95_ms} ms` : `an error rate of ${guard.error_rate} %`} over ${guard.attempts} attempts on ${guard.server}.` : 'It has never had to act.'}</p></div></section>
    <section class="card" aria-labelledby="switches"><header><h2 id="switches">Switches</h2></header><ul class="parts">
        <li><span class="grow"><b>Sessions offered</b><br /><span class="soft small">Log-ins of the cohort get a session.</span></span>${toggle(r.enabled, () => flip(r.enabled ? 'Stop offering sessions' : 'Offer sessions', { enabled: !r.enabled }))}</li>
        <li><span class="grow"><b>Legacy path</b><br /><span class="soft small">Off ends the migration.</span></span>${toggle(r.legacy_enabled, () => flip(r.legacy_enabled ? 'End the legacy path' : 'Open the legacy path again', { legacy_enabled: !r.legacy_enabled }))}</li>
        <li><span class="grow"><b>Lockdown</b><br /><span class="soft small">Only administrators may act; everyone else's sockets close.</span></span>${toggle(r.lockdown, () => change({ text: r.lockdown ? 'Lift the lockdown' : 'Lock down', lockdown: !r.lockdown }), true)}</li></ul></section></div>
    ${changing && html`<${Change} of=${changing} close=${() => { change(null); setDraft(null); }} done=${asked.again} />`}`;
}

/** @param {boolean} on @param {() => void} act @param {boolean} [bad] */
const toggle = (on, act, bad) => html`<span class=${`tag ${on ? (bad ? 'bad' : 'good') : ''}`}>${on ? 'on' : 'off'}</span><button type="button" class=${`btn slim ${bad && !on ? 'danger' : ''}`} onClick=${act}>Turn ${on ? 'off' : 'on'}</button>`;

/** @param {{of:any, close:() => void, done:() => void}} p */
function Change({ of, close, done }) {
  const form = useForm(async ({ reason }) => {
    const began = performance.now();
    if (of.lockdown !== undefined) await api('PUT', '/api/admin/lockdown', { lockdown: of.lockdown, reason });
    else await api('PUT', '/api/admin/rollout', { ...of.fields, reason });
    toast(`${of.text}: done in ${Math.round(performance.now() - began)} ms`);
    close();
    done();
  });
  return html`<${Dialog} title=${of.text} close=${close}><form class="stack" onSubmit=${form.submit}>
    <${Field} label="Reason" name="reason" required maxlength="200" autofocus hint="Kept in the audit log." error=${form.error} /><${Trouble} error=${form.error} fields=${['reason']} />
    <div class="foot"><button type="button" class="btn" onClick=${close}>Cancel</button><button class="btn primary" disabled=${form.busy}>${of.text}</button></div></form><//>`;
}
