import { Icon, Menu, Trouble, narrow, toast, useAsked } from '../ui.js';
import { get, url } from '../api.js';
import { client } from '../live.js';
import { times } from '../decimal.js';
import { day, money, price, quantity } from '../format.js';
import { current, open, portfolios, version } from '../portfolio.js';
import { AddTransaction } from './add.js';
import { types } from './types.js';
import { Import, Progress, followImports } from './import.js';
import { parse } from '../entry.js';
import { html, useEffect, useRef, useState } from '../vendor/preact.js';

const named = Object.fromEntries(types);
/** Takes the last change of a transaction back, as a new revision. @param {string|null} id @param {string} tx @param {() => void} done */
const undo = (id, tx, done) => client.call('transaction.undo', { portfolio: id, transaction: tx }, { idempotencyKey: crypto.randomUUID() }).then(done, (e) => toast(e.message));

export default function Activity() {
  const id = current.value, list = portfolios.value ?? [];
  const [filter, setFilter] = useState({ symbol: '', type: '' });
  const [pages, setPages] = useState(/** @type {any[]} */ ([]));
  const [editing, edit] = useState(/** @type {any} */ (null));
  const [importing, setImporting] = useState(location.search === '?import');
  const first = useAsked(async () => (id ? get(url(`/api/portfolios/${id}/transactions`, filter)) : null), [id, filter, version.value]);
  useEffect(() => { document.title = 'Activity · Rosetree'; return followImports(); }, []);
  useEffect(() => setPages([]), [first.data]);
  const next = (pages.at(-1) ?? first.data)?.next;
  const more = async () => setPages([...pages, await get(url(`/api/portfolios/${id}/transactions`, { ...filter, cursor: next }))]);
  const rows = [first.data, ...pages].flatMap((p) => p?.transactions ?? []);
  const remove = async (/** @type {any} */ t) => {
    await client.call('transaction.delete', { portfolio: id, transaction: t.id }, { idempotencyKey: crypto.randomUUID() })
      .then(() => toast(`${named[t.type] ?? t.type} deleted`, 'Undo', () => undo(id, t.id, first.again)), (e) => toast(e.message));
    first.again();
  };
  if (list && !list.length) return html`<div class="card empty"><p>There is no portfolio yet.</p><a class="btn primary" href="/">Make one</a></div>`;
  return html`<div class="pagehead"><h1>Activity</h1>
      ${list.length > 1 && html`<select class="slim" aria-label="Portfolio" value=${id} onChange=${(/** @type {any} */ e) => open(e.target.value)}>${list.map((p) => html`<option key=${p.id} value=${p.id}>${p.name}</option>`)}</select>`}
      <button type="button" class="btn" onClick=${() => setImporting(true)}><${Icon} name="upload" size="16" />Import</button>
      <${Menu} kind="btn" label=${html`Export<${Icon} name="down" size="14" />`}><a href=${`/api/portfolios/${id}/export?format=csv`} download>CSV, for spreadsheets</a><a href=${`/api/portfolios/${id}/export?format=json`} download>JSON, without loss</a><//>
      <button type="button" class="btn primary" data-key="add" onClick=${() => edit({})}><${Icon} name="plus" size="16" />Add</button></div>
    ${!importing && html`<${Progress} portfolio=${id} />`}<${Quick} id=${id} done=${first.again} />
    <section class="card" aria-labelledby="ledger"><header><h2 id="ledger">Ledger</h2><span class="grow"></span>
        <input type="search" class="search" placeholder="Symbol  /" aria-label="Only this symbol" value=${filter.symbol} onChange=${(/** @type {any} */ e) => setFilter({ ...filter, symbol: e.target.value.trim().toUpperCase() })} />
        <select class="slim" aria-label="Only this type" value=${filter.type} onChange=${(/** @type {any} */ e) => setFilter({ ...filter, type: e.target.value })}><option value="">All types</option>${types.map(([k, text]) => html`<option key=${k} value=${k}>${text}</option>`)}</select></header>
      <${Trouble} error=${first.error} />
      ${first.data && !rows.length ? html`<p class="empty">${filter.symbol || filter.type ? 'Nothing matches.' : 'Nothing here yet. Add a transaction, or import a file from your broker.'}</p>` : narrow.value ? html`<ul class="cards plain">${rows.map((t) => html`<${Card} key=${t.id} t=${t} edit=${() => edit(t)} />`)}</ul>` : html`<div class="scroll"><table><caption class="sr">Transactions, newest first</caption>
        <thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Symbol</th><th scope="col" class="num">Quantity</th><th scope="col" class="num">Price</th><th scope="col" class="num">Amount</th><th scope="col" class="num wide">Fee and tax</th><th scope="col" class="wide">Note</th><th scope="col"><span class="sr">Acts</span></th></tr></thead>
        <tbody>${rows.map((t) => html`<${Line} key=${t.id} t=${t} edit=${() => edit(t)} remove=${() => remove(t)} />`)}</tbody></table></div>`}
      ${next && html`<p class="pad"><button type="button" class="btn" onClick=${more}>Show older</button></p>`}</section>
    ${editing && id && html`<${AddTransaction} initial=${editing} close=${() => edit(null)} done=${first.again} remove=${editing.id ? () => { edit(null); remove(editing); } : undefined} />`}
    ${importing && id && html`<${Import} portfolio=${id} close=${() => setImporting(false)} done=${first.again} />`}`;
}

/** @param {{t:any, edit:() => void}} p a transaction as the phone shows it: touch opens it */
function Card({ t, edit }) {
  const gross = t.amount ?? (t.quantity && t.price ? times(t.quantity, t.price) : null);
  return html`<li><button type="button" onClick=${edit}><b>${t.symbol ?? named[t.type] ?? t.type}</b><span class="soft small">${day(t.executed_at)}</span></button>
    <span class=${`tag ${tint(t.type)}`}>${named[t.type] ?? t.type}</span><div class="num"><b>${gross ? money(gross, t.currency) : '–'}</b><span class="soft">${t.quantity ? quantity(t.quantity) : t.currency}</span></div></li>`;
}

const tint = (/** @type {string} */ type) => (type === 'buy' ? 'good' : type === 'sell' ? 'bad' : '');

/** @param {{t:any, edit:() => void, remove:() => void}} p */
function Line({ t, edit, remove }) {
  const gross = t.amount ?? (t.quantity && t.price ? times(t.quantity, t.price) : null), cost = [t.fee, t.tax].filter((v) => v && Number(v) !== 0);
  return html`<tr data-row=${t.id} tabindex="-1" onKeyDown=${(/** @type {KeyboardEvent} */ e) => (e.key === 'Enter' && e.target === e.currentTarget ? edit() : e.key === 'Delete' && remove())}>
    <td class="nowrap">${day(t.executed_at)}</td><td><span class=${`tag ${tint(t.type)}`}>${named[t.type] ?? t.type}</span></td><th scope="row" class="sym">${t.symbol ?? '–'}</th>
    <td class="num">${t.quantity ? quantity(t.quantity) : '–'}</td><td class="num">${t.price ? html`${price(t.price, `${t.symbol} tx`)} <span class="soft small">${t.currency}</span>` : '–'}</td><td class="num">${gross ? html`${money(gross, t.currency)} <span class="soft small">${t.currency}</span>` : '–'}</td>
    <td class="num wide">${cost.length ? cost.map((v) => money(v, t.currency)).join(' + ') : '–'}</td><td class="wide soft">${t.note}</td>
    <td class="act"><button type="button" class="btn quiet icon slim" aria-label=${`Edit ${named[t.type]} ${t.symbol ?? ''} of ${day(t.executed_at)}`} onClick=${edit}><${Icon} name="edit" size="15" /></button><button type="button" class="btn quiet icon slim" aria-label=${`Delete ${named[t.type]} ${t.symbol ?? ''} of ${day(t.executed_at)}`} onClick=${remove}><${Icon} name="trash" size="15" /></button></td></tr>`;
}

/** A whole transaction in one line, for those who keep their hands on the keys. @param {{id:string|null, done:() => void}} p */
function Quick({ id, done }) {
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  const [line, setLine] = useState('');
  const [error, setError] = useState('');
  const read = line ? parse(line) : {};
  const submit = async (/** @type {Event} */ e) => {
    e.preventDefault();
    if (!read.entry) return setError(read.wrong ?? '');
    try {
      const added = await client.call('transaction.add', { portfolio: id, ...read.entry }, { idempotencyKey: crypto.randomUUID() });
      setLine((now) => (now === line ? '' : now)); // the row is there before the answer: the next one may have been typed
      toast(`${named[read.entry.type]} added`, 'Undo', () => undo(id, added.id, done));
      done();
    } catch (err) {
      setError(/** @type {any} */ (err).message);
    }
  };
  const said = error || (line && read.wrong) || '';
  return html`<form class="card pad stack" onSubmit=${submit}><label class="small soft" for="quick">One line, then Enter: <code>buy 10 AAPL @ 189.12 fee 1 on 2026-11-20</code></label>
    <div class="row"><input id="quick" class="grow" ref=${input} value=${line} autocomplete="off" spellcheck=${false} placeholder="buy 10 AAPL @ 189.12" aria-describedby="quick-said" onInput=${(/** @type {any} */ e) => { setLine(e.target.value); setError(''); }} /><button class="btn primary" disabled=${!read.entry}>Add</button></div>
    <p id="quick-said" class="small soft" role="status">${said}</p></form>`;
}
