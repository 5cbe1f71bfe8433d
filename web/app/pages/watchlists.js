import { Delta, Dialog, Field, Icon, Menu, Segments, Trouble, toast, useAsked, useForm } from '../ui.js';
import { api, get, post } from '../api.js';
import { client } from '../live.js';
import { ago, percent, price, time } from '../format.js';
import { Spark } from '../spark.js';
import { go } from '../nav.js';
import { SymbolField } from './symbol.js';
import { change, quote, useQuotes } from './quotes.js';
import { html, useEffect, useState } from '../vendor/preact.js';

/** @typedef {{id:string, name:string, position:number, symbols:string[]}} Watchlist */

const CHOSEN = 'rosetree.watchlist';

/** What one looks at without owning it: lists in an order of one's own, the same on every device. */
export default function Watchlists() {
  const asked = useAsked(() => get('/api/watchlists'), []);
  const [chosen, choose] = useState(sessionStorage.getItem(CHOSEN) ?? '');
  const [naming, name] = useState(/** @type {Partial<Watchlist>|null} */ (null));
  useEffect(() => {
    document.title = 'Watchlists · Rosetree';
    const off = client.on('watchlists', (m) => asked.put(m)), leave = client.follow('watchlists');
    return () => { off(); leave(); };
  }, []);
  const lists = /** @type {Watchlist[]} */ (asked.data?.watchlists ?? []);
  const list = lists.find((w) => w.id === chosen) ?? lists[0];
  const open = (/** @type {string} */ id) => { sessionStorage.setItem(CHOSEN, id); choose(id); };
  const put = (/** @type {Partial<Watchlist>} */ fields) => {
    asked.put({ watchlists: lists.map((w) => (w.id === list.id ? { ...w, ...fields } : w)) }); // at once: the server's word follows
    return api('PATCH', `/api/watchlists/${list.id}`, fields).catch((e) => { asked.again(); throw e; });
  };
  const remove = () => api('DELETE', `/api/watchlists/${list.id}`).then(() => {
    toast(`${list.name} deleted`, 'Undo', () => post('/api/watchlists', { name: list.name, symbols: list.symbols }).then((w) => { open(w.id); asked.again(); }, (e) => toast(e.message)));
    asked.again();
  }, (/** @type {any} */ e) => toast(e.message));
  const place = lists.indexOf(list);
  const move = (/** @type {number} */ by) => put({ position: place + by }).then(asked.again, (e) => toast(e.message));
  return html`<div class="pagehead"><h1>Watchlists</h1><button type="button" class="btn" onClick=${() => name({})}><${Icon} name="plus" size="16" />New list</button></div>
    <${Trouble} error=${asked.error} />
    ${asked.data && !list && html`<div class="card empty"><ol class="steps"><li>Make a list and give it a name.</li><li>Add symbols: their prices move here, also where you own none.</li><li>Set an alert on one, to be told when it matters.</li></ol>
      <button type="button" class="btn primary" onClick=${() => name({})}>Make a watchlist</button></div>`}
    ${list && html`<section class="card watch" aria-labelledby="list"><header><h2 id="list" class=${lists.length > 1 ? 'sr' : ''}>${list.name}</h2>
        ${lists.length > 1 && html`<div class="scroll"><${Segments} label="Watchlist" value=${list.id} options=${lists.map((w) => [w.id, w.name])} onChange=${open} /></div>`}<span class="grow"></span>
        <${Menu} kind="btn slim" label=${html`List<${Icon} name="down" size="14" />`}><button type="button" onClick=${() => name(list)}><${Icon} name="edit" size="16" />Rename</button>
          ${place > 0 && html`<button type="button" onClick=${() => move(-1)}>Move to the left</button>`}${place < lists.length - 1 && html`<button type="button" onClick=${() => move(1)}>Move to the right</button>`}
          <hr /><button type="button" onClick=${remove}><${Icon} name="trash" size="16" />Delete</button><//></header>
      <${Table} key=${list.id} list=${list} put=${put} /></section>`}
    ${naming && html`<${Name} list=${naming} close=${() => name(null)} done=${(/** @type {Watchlist} */ w) => { open(w.id); asked.again(); }} />`}`;
}

/** @param {{list:Watchlist, put:(fields:Partial<Watchlist>) => Promise<any>}} p */
function Table({ list, put }) {
  const [unknown, setUnknown] = useState(/** @type {string[]} */ ([]));
  useQuotes(list.symbols, setUnknown);
  const keep = (/** @type {string[]} */ symbols) => put({ symbols }).catch((e) => toast(e.message));
  const move = (/** @type {string} */ s, /** @type {number} */ by) => {
    const at = list.symbols.indexOf(s), to = at + by, next = [...list.symbols];
    if (to < 0 || to >= next.length) return;
    next.splice(at, 1);
    next.splice(to, 0, s);
    keep(next);
  };
  const remove = (/** @type {string} */ s) => {
    const before = list.symbols;
    keep(before.filter((x) => x !== s)).then(() => toast(`${s} removed`, 'Undo', () => keep(before)));
  };
  return html`<${Add} list=${list} put=${put} />
    ${list.symbols.length ? html`<div class="scroll"><table><caption class="sr">${list.name}, live prices</caption>
      <thead><tr><th scope="col">Symbol</th><th scope="col" class="wide">Name</th><th scope="col" class="num">Price</th><th scope="col" class="num">Chg %</th><th scope="col" class="num wide">60 min</th><th scope="col"><span class="sr">Acts</span></th></tr></thead>
      <tbody>${list.symbols.map((s, i) => html`<${Row} key=${s} symbol=${s} first=${!i} last=${i === list.symbols.length - 1} unknown=${unknown.includes(s)} move=${move} remove=${remove} />`)}</tbody></table></div>`
      : html`<p class="empty">Nothing on this list yet. Add a symbol above.</p>`}`;
}

/** @param {{symbol:string, first:boolean, last:boolean, unknown:boolean, move:(s:string, by:number) => void, remove:(s:string) => void}} p */
function Row({ symbol, first, last, unknown, move, remove }) {
  const q = quote(symbol).value, tick = q.tick ?? 0, per = change(q);
  const key = (/** @type {KeyboardEvent} */ e) => {
    if (e.key === 'Delete') remove(symbol);
    else if (e.altKey && (e.key === 'ArrowUp' || e.key === 'ArrowDown')) e.preventDefault(), move(symbol, e.key === 'ArrowUp' ? -1 : 1);
  };
  const late = q.freshness === 'closed' && q.t ? `at close ${time(q.t, { timeStyle: 'short' })}` : ['stalled', 'stale'].includes(q.freshness ?? '') ? ago(q.t) : '';
  return html`<tr data-row=${symbol} class=${q.freshness ?? ''} tabindex=${first ? 0 : -1} onKeyDown=${key}><th scope="row" class="sym">${symbol}</th><td class="name wide">${q.name}</td>
    <td class="num px"><span class=${tick > 0 ? 'up' : tick < 0 ? 'down' : ''}><i aria-hidden="true">${tick > 0 ? '▲' : tick < 0 ? '▼' : ''}</i>${price(q.p, symbol)}</span> <span class="soft small wide">${q.currency}</span>${(unknown || late) && html`<span class="age">${unknown ? 'no such symbol here' : late}</span>`}</td>
    <td class="num"><${Delta} v=${per}>${percent(per)}<//></td><td class="num wide"><${Spark} symbol=${symbol} /></td>
    <td class="act"><button type="button" class="btn quiet icon slim wide" aria-label=${`Move ${symbol} up`} disabled=${first} onClick=${() => move(symbol, -1)}><${Icon} name="up" size="15" /></button><button type="button" class="btn quiet icon slim wide" aria-label=${`Move ${symbol} down`} disabled=${last} onClick=${() => move(symbol, 1)}><${Icon} name="down" size="15" /></button>
      <button type="button" class="btn quiet icon slim" aria-label=${`Alert on ${symbol}`} onClick=${() => go(`/alerts?symbol=${encodeURIComponent(symbol)}`)}><${Icon} name="bell" size="15" /></button><button type="button" class="btn quiet icon slim" aria-label=${`Remove ${symbol}`} onClick=${() => remove(symbol)}><${Icon} name="trash" size="15" /></button></td></tr>`;
}

/** @param {{list:Watchlist, put:(fields:Partial<Watchlist>) => Promise<any>}} p */
function Add({ list, put }) {
  const form = useForm(async ({ symbol }, el) => {
    const s = symbol.trim().toUpperCase();
    if (list.symbols.includes(s)) throw Object.assign(new Error(`${s} is on this list already`), { field: 'symbol' });
    const { rejected } = await client.call('price.last', { symbols: [s] });
    if (rejected.length) throw Object.assign(new Error(`Nobody here knows ${s}`), { field: 'symbol' });
    await put({ symbols: [...list.symbols, s] });
    if (el.symbol.value === symbol) el.reset(); // the row is there before the answer: the next one may have been typed
  });
  return html`<form class="pad row add" onSubmit=${form.submit}><div class="grow"><${SymbolField} label="Add a symbol" autofocus=${false} error=${form.error} /></div><button class="btn primary" disabled=${form.busy}>Add</button>
    <${Trouble} error=${form.error} fields=${['symbol']} /></form>`;
}

/** @param {{list:Partial<Watchlist>, close:() => void, done:(w:Watchlist) => void}} p */
function Name({ list, close, done }) {
  const form = useForm(async ({ name }) => {
    done(list.id ? await api('PATCH', `/api/watchlists/${list.id}`, { name }) : await post('/api/watchlists', { name, symbols: [] }));
    close();
  });
  return html`<${Dialog} title=${list.id ? 'Rename watchlist' : 'New watchlist'} close=${close}><form class="stack" onSubmit=${form.submit}>
    <${Field} label="Name" name="name" required maxlength="80" defaultValue=${list.name} autofocus error=${form.error} /><${Trouble} error=${form.error} fields=${['name']} />
    <div class="foot"><button type="button" class="btn" onClick=${close}>Cancel</button><button class="btn primary" disabled=${form.busy}>${list.id ? 'Save' : 'Make'}</button></div></form><//>`;
}
