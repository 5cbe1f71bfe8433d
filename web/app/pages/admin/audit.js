import { Trouble, useAsked } from '../../ui.js';
import { get, url } from '../../api.js';
import { client, conn } from '../../live.js';
import { time } from '../../format.js';
import { html, useEffect, useRef, useState } from '../../vendor/preact.js';

const LIMIT = 100;

/** Who did what, when, from where, and how it ended. */
export function Audit() {
  const [filter, setFilter] = useState({ actor: '', action: '', subject: '', outcome: '' });
  const [pages, setPages] = useState(/** @type {any[]} */ ([]));
  const query = { ...Object.fromEntries(Object.entries(filter).filter(([, v]) => v)), limit: LIMIT };
  const first = useAsked(() => (conn.peek() === 'live' ? client.call('admin.audit.list', query) : get(url('/api/admin/audit', query))), [filter]);
  useEffect(() => setPages([]), [filter]);
  const top = useRef(true);
  top.current = !pages.length; // who reads the older ones is not thrown back
  useEffect(() => {
    const off = [client.on('audit', () => { if (top.current) first.again(); }), client.follow('audit')];
    return () => off.forEach((f) => f());
  }, []);
  const list = [first.data, ...pages].flatMap((p) => p?.entries ?? []), next = (pages.at(-1) ?? first.data)?.next;
  const more = async () => setPages([...pages, await get(url('/api/admin/audit', { ...filter, before: next, limit: LIMIT }))]);
  const by = (/** @type {'actor'|'action'|'subject'} */ name) => html`<input type="search" class="search" placeholder=${name} aria-label=${`Only this ${name}`} onChange=${(/** @type {any} */ e) => setFilter({ ...filter, [name]: e.target.value.trim() })} />`;
  return html`<section class="card audit" aria-labelledby="audit"><header><h2 id="audit">Audit log</h2><span class="grow"></span>${by('actor')}${by('action')}${by('subject')}
      <select class="slim" aria-label="Only this outcome" onChange=${(/** @type {any} */ e) => setFilter({ ...filter, outcome: e.target.value })}><option value="">Any outcome</option><option>ok</option><option>refused</option><option>failed</option></select></header><${Trouble} error=${first.error} />
    <div class="scroll" tabindex="0"><table><caption class="sr">Audit log, newest first</caption><thead><tr><th scope="col">When</th><th scope="col" class="wide">Who</th><th scope="col">What</th><th scope="col" class="wide">On</th><th scope="col" class="wide">From</th><th scope="col" class="wide">Outcome</th><th scope="col" class="wide">Detail</th></tr></thead>
      <tbody>${list.map((e) => html`<tr key=${e.id}><td>${time(e.at, { dateStyle: 'short', timeStyle: 'medium' })}</td><td class="wide">${short(e.actor)}</td><td><code>${e.action}</code>${outcome(e, 'under ')}<span class="under soft small">${short(e.actor)}${e.subject && e.subject !== e.actor && html` → ${short(e.subject)}`}${e.ip && ` · ${e.ip}`}<br />${said(e.detail)}</span></td><td class="wide">${short(e.subject)}</td><td class="wide">${e.ip || '–'}</td><td class="wide">${outcome(e)}</td><td class="wide detail small soft">${said(e.detail)}</td></tr>`)}</tbody></table></div>
    ${first.data && !list.length ? html`<p class="empty">Nothing matches.</p>` : null}
    ${next && html`<p class="pad"><button type="button" class="btn" onClick=${more}>Show older</button></p>`}</section>`;
}

/** @param {any} e @param {string} [where] */
const outcome = (e, where = '') => html`<span class=${`${where}tag ${e.outcome === 'ok' ? 'good' : e.outcome === 'failed' ? 'bad' : 'warn'}`}>${e.outcome}</span>`;

/** An id is shown by its end, which differs; the whole is in the title. @param {string} id */
const short = (id) => (id && id.length > 20 ? html`<code title=${id}>…${id.slice(-10)}</code>` : id || '–');

/** @param {any} detail */
const said = (detail) => (detail && typeof detail === 'object' ? Object.entries(detail).filter(([, v]) => v !== '').map(([k, v]) => `${k}: ${typeof v === 'object' ? JSON.stringify(v) : v}`).join(', ') : detail ?? '');
