import { Delta, Icon, Menu, narrow, whileShown } from '../ui.js';
import { ago, direction, float, money, percent, price, quantity, time } from '../format.js';
import { base, current, dayPercent, pause, paused, profit, rows, symbols, totals, weight } from '../portfolio.js';
import { set, settings } from '../settings.js';
import { Spark, seen } from '../spark.js';
import { adding, shown } from '../nav.js';
import { html, signal, useEffect, useRef, useState } from '../vendor/preact.js';

/** @typedef {import('../rosetree.js').Holding} Holding */
/** @typedef {{key:string, title:string, num?:boolean, live?:boolean, sort?:(h:Holding) => any, cell:(h:Holding, tick:number) => any, cls?:string}} Column */

const currency = () => totals.peek()?.currency ?? '';

/** @param {Holding} h */
function age(h) {
  if (h.freshness === 'closed') return html`<span class="age">at close ${time(h.price_at, { timeStyle: 'short' })}</span>`;
  if (h.freshness === 'stalled' || h.freshness === 'stale') return html`<span class="age">${ago(h.price_at)}</span>`;
  return null;
}

/** @type {Column[]} */
export const columns = [
  { key: 'symbol', title: 'Symbol', sort: (h) => h.symbol, cls: 'sym', cell: (h) => html`<button type="button" tabindex="-1" onClick=${() => { shown.value = h.symbol; }}>${h.symbol}</button>` },
  { key: 'name', title: 'Name', sort: (h) => h.name, cls: 'name', cell: (h) => h.name },
  { key: 'quantity', title: 'Quantity', num: true, sort: (h) => float(h.quantity), cell: (h) => quantity(h.quantity) },
  { key: 'average', title: 'Avg price', num: true, sort: (h) => float(h.average_price), cell: (h) => price(h.average_price, `${h.symbol} avg`) },
  { key: 'price', title: 'Price', num: true, live: true, sort: (h) => float(h.price), cls: 'px',
    cell: (h, tick) => html`<span class=${tick > 0 ? 'up' : tick < 0 ? 'down' : ''}><i aria-hidden="true">${tick > 0 ? '▲' : tick < 0 ? '▼' : ''}</i>${price(h.price, h.symbol)}</span>${age(h)}` },
  { key: 'change', title: 'Chg %', num: true, live: true, sort: (h) => dayPercent(h), cell: (h) => html`<${Delta} v=${dayPercent(h)}>${percent(dayPercent(h))}<//>` },
  { key: 'value', title: 'Value', num: true, live: true, sort: (h) => float(base(h)), cell: (h) => money(base(h), currency()) },
  { key: 'day', title: 'Day P/L', num: true, live: true, sort: (h) => float(h.day_change), cell: (h) => html`<${Delta} v=${h.day_change}>${money(h.day_change, currency(), true)}<//>` },
  { key: 'total', title: 'Total P/L', num: true, live: true, sort: (h) => float(profit(h)), cell: (h) => html`<${Delta} v=${profit(h)}>${money(profit(h), currency(), true)}<//>` },
  { key: 'realised', title: 'Realised', num: true, sort: (h) => float(h.realised_base), cell: (h) => html`<${Delta} v=${h.realised_base}>${money(h.realised_base, currency(), true)}<//>` },
  { key: 'income', title: 'Income', num: true, sort: (h) => float(h.income), cell: (h) => money(h.income, currency()) },
  { key: 'weight', title: 'Weight', num: true, live: true, sort: (h) => weight(h), cell: (h) => Weight(h) },
  { key: 'spark', title: '60 min', num: true, cell: (h) => html`<${Spark} symbol=${h.symbol} />` },
];
const usual = ['symbol', 'name', 'quantity', 'price', 'change', 'value', 'day', 'total', 'weight', 'spark'];

/** @param {Holding} h */
function Weight(h) {
  const w = weight(h);
  return html`${w === null ? '–' : `${w.toFixed(1)} %`}<span class="wbar" aria-hidden="true"><i style=${{ width: `${Math.max(0, Math.min(100, w ?? 0))}%` }}></i></span>`;
}

/** Direction of the last tick of a row. @param {Holding} h */
function useTick(h) {
  const last = useRef({ price: h.price, tick: 0 });
  if (h.price !== last.current.price) {
    last.current = { tick: direction(float(h.price) - float(last.current.price)), price: h.price };
    seen(h.symbol, float(h.price));
  }
  return last.current.tick;
}

/** @param {{symbol:string, shownColumns:Column[], first:boolean}} p */
function Row({ symbol, shownColumns, first }) {
  const h = rows.get(symbol)?.value;
  const look = settings.value; // hidden amounts, locale: a change redraws
  const tick = useTick(h ?? { symbol });
  if (!h) return null;
  return html`<tr class=${h.freshness} data-row=${symbol} data-look=${look.hide ? 'hidden' : undefined} tabindex=${first ? 0 : -1} onKeyDown=${(/** @type {KeyboardEvent} */ e) => e.key === 'Enter' && (shown.value = symbol)}>
    ${shownColumns.map((c) => (c.key === 'symbol' ? html`<th scope="row" class="sym" key="symbol">${c.cell(h, tick)}</th>` : html`<td key=${c.key} class=${`${c.num ? 'num' : ''} ${c.cls ?? ''}`}>${c.cell(h, tick)}</td>`))}</tr>`;
}

/** @param {{symbol:string}} p a holding as the phone shows it */
function Card({ symbol }) {
  const h = rows.get(symbol)?.value;
  const look = settings.value;
  const tick = useTick(h ?? { symbol });
  if (!h) return null;
  return html`<li class=${h.freshness} data-look=${look.hide ? 'hidden' : undefined} data-row-card=${symbol}><button type="button" onClick=${() => { shown.value = symbol; }}><b>${h.symbol}</b><span class="soft small">${h.name}</span></button>
    <${Spark} symbol=${symbol} /><div class="num"><b>${money(base(h), currency())}</b><span><${Delta} v=${dayPercent(h)}>${percent(dayPercent(h))}<//></span>${age(h)}<span class=${`sr tick${tick}`}>${price(h.price, symbol)}</span></div></li>`;
}

const filter = signal('');
const inside = { pointer: false, focus: false };

/** @param {string[]} names */
function sorted(names) {
  const { sort, group } = settings.peek();
  const down = sort.startsWith('-'), column = columns.find((c) => c.key === sort.replace('-', ''));
  const words = filter.peek().toLowerCase().split(/\s+/).filter(Boolean);
  const list = names.map((s) => rows.get(s)?.peek()).filter((h) => h !== undefined)
    .filter((h) => words.every((w) => `${h.symbol} ${h.name} ${h.kind} ${h.currency}`.toLowerCase().includes(w)));
  const by = column?.sort ?? ((/** @type {Holding} */ h) => h.symbol);
  list.sort((a, b) => {
    if (group && a[group] !== b[group]) return String(a[group]) < String(b[group]) ? -1 : 1;
    const x = by(a), y = by(b);
    const order = typeof x === 'string' ? x.localeCompare(y) : (Number.isNaN(x) || x === null ? -Infinity : x) - (Number.isNaN(y) || y === null ? -Infinity : y);
    return (down ? -order : order) || a.symbol.localeCompare(b.symbol);
  });
  return list.map((h) => h.symbol);
}

/** The order of the rows: at once where the person asked for another, else at most every five seconds and never under the pointer. */
function useOrder() {
  const names = symbols.value, { sort, group } = settings.value, text = filter.value;
  const [order, put] = useState(/** @type {string[]} */ ([]));
  useEffect(() => {
    if (!names) return put([]);
    put(sorted(names));
    if (!columns.find((c) => c.key === sort.replace('-', ''))?.live) return;
    return whileShown(5000, () => !inside.pointer && !inside.focus && !paused.peek() && put((old) => {
      const next = sorted(names);
      return next.join() === old.join() ? old : next;
    }));
  }, [names, sort, group, text]);
  return order;
}

/** @param {{c:Column}} p */
function Head({ c }) {
  const { sort } = settings.value, down = sort.startsWith('-'), on = sort.replace('-', '') === c.key;
  const turn = () => set({ sort: on ? (down ? c.key : `-${c.key}`) : c.num ? `-${c.key}` : c.key });
  return html`<th scope="col" class=${c.num ? 'num' : ''} aria-sort=${on ? (down ? 'descending' : 'ascending') : undefined}>
    ${c.sort ? html`<button type="button" onClick=${turn}>${c.title}${on ? (down ? ' ↓' : ' ↑') : ''}</button>` : c.title}</th>`;
}

export function Holdings() {
  const order = useOrder(), names = symbols.value, { columns: chosen, group } = settings.value;
  const on = chosen ?? usual, shownColumns = columns.filter((c) => on.includes(c.key) || c.key === 'symbol');
  const toggle = (/** @type {string} */ k) => set({ columns: on.includes(k) ? on.filter((x) => x !== k) : [...on, k] });
  /** @type {any[]} */ const body = [];
  let last = /** @type {any} */ (undefined);
  for (const s of order) {
    const of = group && rows.get(s)?.peek()[group];
    if (group && of !== last) body.push(html`<tr class="group" key=${`g ${of}`}><th scope="rowgroup" colspan=${shownColumns.length}>${of}</th></tr>`);
    last = of;
    body.push(html`<${Row} key=${s} symbol=${s} shownColumns=${shownColumns} first=${s === order[0]} />`);
  }
  return html`<section class="card holdings" aria-labelledby="holdings" onPointerEnter=${() => { inside.pointer = true; }} onPointerLeave=${() => { inside.pointer = false; }}
      onFocusIn=${() => { inside.focus = true; }} onFocusOut=${() => { inside.focus = false; }}>
    <header><h2 id="holdings">Holdings ${names && html`<span class="soft">(${names.length})</span>`}</h2><span class="grow"></span>
      <input type="search" class="search" placeholder="Filter  /" aria-label="Filter holdings" value=${filter.value} onInput=${(/** @type {any} */ e) => { filter.value = e.target.value; }} />
      <select class="slim" aria-label="Group holdings" value=${group} onChange=${(/** @type {any} */ e) => set({ group: e.target.value })}><option value="">No groups</option><option value="kind">By class</option><option value="currency">By currency</option></select>
      <span class="wide"><${Menu} kind="btn slim" label=${html`<${Icon} name="columns" size="16" />Columns`}>${columns.slice(1).map((c) => html`<button type="button" role="menuitemcheckbox" aria-checked=${on.includes(c.key) ? 'true' : 'false'} key=${c.key} onClick=${(/** @type {Event} */ e) => { e.stopPropagation(); toggle(c.key); }}>${c.title}</button>`)}<//></span>
      <button type="button" class="btn slim" aria-pressed=${paused.value ? 'true' : 'false'} onClick=${pause}><${Icon} name=${paused.value ? 'play' : 'pause'} size="15" />${paused.value ? 'Resume' : 'Pause'}</button>
      <a class="btn slim wide" href="/activity?import"><${Icon} name="upload" size="16" />Import</a>
      <button type="button" class="btn slim primary" data-key="add" onClick=${() => { adding.value = {}; }}><${Icon} name="plus" size="16" />Add</button></header>
    ${names && !names.length ? html`<${Nothing} />` : narrow.value
      ? html`<ul class="cards">${order.map((s) => html`<${Card} key=${s} symbol=${s} />`)}</ul>`
      : html`<div class="scroll" tabindex=${order.length ? undefined : -1}><table><caption class="sr">Holdings with live prices</caption><thead><tr>${shownColumns.map((c) => html`<${Head} key=${c.key} c=${c} />`)}</tr></thead>
        <tbody>${names ? body : [0, 1, 2, 3, 4, 5].map((i) => html`<tr key=${i}>${shownColumns.map((c) => html`<td key=${c.key} class=${c.num ? 'num' : ''}><span class="skel">000.00</span></td>`)}</tr>`)}</tbody></table></div>`}
    ${names?.length && !order.length ? html`<p class="empty">No holding matches “${filter.value}”.</p>` : null}</section>`;
}

const Nothing = () => html`<div class="empty"><ol class="steps"><li>Add your first purchase, or import a file from your broker.</li><li>Its price appears here at once, and moves with the market.</li><li>Open this page on another device: it shows the same.</li></ol>
  <div class="row"><button type="button" class="btn primary" onClick=${() => { adding.value = {}; }}>Add a transaction</button><a class="btn" href="/activity?import">Import a file</a>
    <button type="button" class="btn" onClick=${() => import('./demo.js').then((m) => m.demo(current.peek() ?? ''))}>Try demo data</button></div></div>`;
