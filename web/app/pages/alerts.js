import { Dialog, Field, Icon, Segments, Trouble, toast, useAsked, useForm } from '../ui.js';
import { api, get, post, url } from '../api.js';
import { client, unseen } from '../live.js';
import { ago, price, time } from '../format.js';
import { SymbolField } from './symbol.js';
import { quote, useQuotes } from './quotes.js';
import { said, wanted } from '../fired.js';
import { html, useEffect, useState } from '../vendor/preact.js';

const kinds = /** @type {[string, string][]} */ ([['above', 'Rises to'], ['below', 'Falls to'], ['day_pct', 'Moves in a day']]);

/** What one waits for, and what came true. */
export default function Alerts() {
  const asked = useAsked(() => get('/api/alerts'), []);
  const [editing, edit] = useState(/** @type {any} */ (null));
  const [secret, tell] = useState('');
  useEffect(() => {
    document.title = 'Alerts · Rosetree';
    const symbol = new URLSearchParams(location.search).get('symbol');
    if (symbol) edit({ symbol }), history.replaceState(null, '', '/alerts');
    const off = [client.on('alerts_changed', asked.again), client.on('alert', asked.again), client.on('welcome', asked.again)];
    return () => off.forEach((f) => f());
  }, []);
  const list = /** @type {any[]} */ (asked.data?.alerts ?? []);
  useQuotes([...new Set(list.map((a) => a.symbol))].sort());
  const act = (/** @type {Promise<any>} */ p, /** @type {string} */ done) => p.then(() => { toast(done); asked.again(); }, (e) => toast(e.message));
  const remove = (/** @type {any} */ a) => api('DELETE', `/api/alerts/${a.id}`).then(() => {
    const { symbol, kind, threshold, once, note } = a; // a webhook's secret cannot be had again, so neither can the webhook
    toast(`Alert on ${symbol} deleted`, 'Undo', () => act(post('/api/alerts', { symbol, kind, threshold, once, note }), 'The alert is back'));
    asked.again();
  }, (/** @type {any} */ e) => toast(e.message));
  return html`<div class="pagehead"><h1>Alerts</h1><button type="button" class="btn primary" data-key="add" onClick=${() => edit({})}><${Icon} name="plus" size="16" />New alert</button></div>
    <${Trouble} error=${asked.error} />
    ${asked.data && !list.length && html`<div class="card empty"><p>No alert yet. Set one, and you are told on every device the moment a price gets there.</p></div>`}
    ${list.length > 0 && html`<section class="card" aria-labelledby="waiting"><header><h2 id="waiting">Waiting for</h2></header><ul class="parts">
      ${list.map((a) => html`<li key=${a.id} data-alert=${a.id}><span class="grow"><b>${a.symbol}</b> ${wanted(a)}${a.note && html` <span class="soft">· ${a.note}</span>`}<br /><span class="soft small"><${Now} symbol=${a.symbol} />${a.fired_at ? ` · came true ${ago(a.fired_at)}` : ''}${a.once ? '' : ' · each time'}${a.webhook ? ' · webhook' : ''}</span>${a.webhook_error && html`<br /><span class="down small">Webhook: ${a.webhook_error}</span>`}</span>
        <span class="acts">${a.armed ? html`<span class="tag good">armed</span>` : html`<span class="tag">rests</span><button type="button" class="btn slim" onClick=${() => act(api('PATCH', `/api/alerts/${a.id}`, { armed: true }), `The alert on ${a.symbol} is armed again`)}>Arm again</button>`}
        <button type="button" class="btn quiet icon slim" aria-label=${`Edit the alert on ${a.symbol}`} onClick=${() => edit(a)}><${Icon} name="edit" size="15" /></button><button type="button" class="btn quiet icon slim" aria-label=${`Delete the alert on ${a.symbol}`} onClick=${() => remove(a)}><${Icon} name="trash" size="15" /></button></span></li>`)}</ul></section>`}
    <${Firings} />
    ${editing && html`<${Edit} alert=${editing} close=${() => edit(null)} done=${(/** @type {any} */ a) => { if (a.webhook_secret) tell(a.webhook_secret); asked.again(); }} />`}
    ${secret && html`<${Dialog} title="The webhook's secret" close=${() => tell('')}><p>It signs what your webhook is sent. Keep it now: it is not shown again.</p><p><code>${secret}</code></p><div class="foot"><button type="button" class="btn primary" onClick=${() => tell('')}>I have it</button></div><//>`}`;
}

/** @param {{symbol:string}} p */
const Now = ({ symbol }) => html`now ${price(quote(symbol).value.p, symbol)}`;

/** What came true: kept, newest first, until it is told apart from the new by "seen". */
function Firings() {
  const [pages, setPages] = useState(/** @type {any[]} */ ([]));
  const first = useAsked(() => get(url('/api/alerts/firings', { limit: 50 })), []);
  useEffect(() => {
    const again = () => { setPages([]); first.again(); };
    const off = [client.on('alert', again), client.on('alerts_seen', again), client.on('alerts_changed', again), client.on('welcome', again)];
    return () => off.forEach((f) => f());
  }, []);
  const list = [first.data, ...pages].flatMap((p) => p?.firings ?? []), last = pages.at(-1) ?? first.data;
  const more = async () => setPages([...pages, await get(url('/api/alerts/firings', { limit: 50, before: list.at(-1).id }))]);
  const seen = () => post('/api/alerts/seen', { all: true }).then(first.again, (/** @type {any} */ e) => toast(e.message));
  if (!list.length) return html`<${Trouble} error=${first.error} />`;
  return html`<section class="card" aria-labelledby="fired"><header><h2 id="fired">Came true</h2><span class="grow"></span>${unseen.value.size > 0 && html`<button type="button" class="btn slim" onClick=${seen}>Mark all as seen</button>`}</header><ul class="parts">
    ${list.map((f) => html`<li key=${f.id} data-firing=${f.id}><span class="grow">${said(f)}${f.note && html` <span class="soft">· ${f.note}</span>`}<br /><span class="soft small">${time(f.fired_at, { dateStyle: 'medium', timeStyle: 'medium' })}</span>${f.webhook_error && html`<br /><span class="down small">Webhook: ${f.webhook_error}</span>`}</span>${!f.seen_at && html`<span class="tag accent">new</span>`}</li>`)}</ul>
    ${last?.firings.length === 50 && html`<p class="pad"><button type="button" class="btn" onClick=${more}>Show older</button></p>`}</section>`;
}

/** @param {{alert:any, close:() => void, done:(a:any) => void}} p a new alert, or one that has an id */
function Edit({ alert, close, done }) {
  const [kind, setKind] = useState(alert.kind ?? 'above');
  const form = useForm(async (f) => {
    const body = { threshold: f.threshold.trim().replace(',', '.'), once: !f.again, note: f.note.trim() };
    const hook = f.webhook.trim() === (alert.webhook ?? '') && !alert.webhook_error ? {} : { webhook: f.webhook.trim() };
    done(alert.id ? await api('PATCH', `/api/alerts/${alert.id}`, { ...body, ...hook }) : await post('/api/alerts', { symbol: f.symbol.trim().toUpperCase(), kind, ...body, ...hook }));
    close();
  });
  const e = form.error;
  return html`<${Dialog} title=${alert.id ? `Alert on ${alert.symbol}` : 'New alert'} close=${close}><form class="stack" onSubmit=${form.submit}>
    ${!alert.id && html`<${SymbolField} value=${alert.symbol} error=${e} />
      <div class="field"><span>Tell me when it</span><${Segments} label="Kind of alert" value=${kind} options=${kinds} onChange=${setKind} /></div>`}
    <${Field} label=${kind === 'day_pct' ? 'Per cent' : 'Price'} name="threshold" inputmode="decimal" required defaultValue=${alert.threshold} autofocus=${!!alert.id} error=${e} hint=${kind === 'day_pct' ? '5 is a rise by 5 % since the last close, -5 a fall.' : ''} />
    <label class="check"><input type="checkbox" name="again" defaultChecked=${alert.id ? !alert.once : false} />Each time it gets there, not only once</label>
    <${Field} label="Note" name="note" maxlength="200" defaultValue=${alert.note} error=${e} />
    <${Field} label="Webhook" name="webhook" type="url" defaultValue=${alert.webhook} placeholder="https://" hint="Left empty: you are told here alone." error=${e} />
    <${Trouble} error=${e} fields=${['symbol', 'threshold', 'note', 'webhook']} />
    <div class="foot"><button type="button" class="btn" onClick=${close}>Cancel</button><button class="btn primary" disabled=${form.busy}>${alert.id ? 'Save' : 'Set the alert'}</button></div></form><//>`;
}
