import { Delta, Dialog, Field, Icon, Menu, Segments, Trouble, later, useAsked, useForm, whileShown } from '../ui.js';
import { float, money, percent, time } from '../format.js';
import { client } from '../live.js';
import { create, current, load, open, paintedAt, portfolios, summary, symbols, totals, trouble, version } from '../portfolio.js';
import { Holdings } from './holdings.js';
import { adding, shown } from '../nav.js';
import { html, signal, useEffect, useRef, useState } from '../vendor/preact.js';

const AddTransaction = later(() => import('./add.js').then((m) => m.AddTransaction));
const Manage = later(() => import('./manage.js').then((m) => m.Manage));
const managing = signal(false);
const Detail = later(() => import('./detail.js').then((m) => m.Detail));
const creating = signal(false);
const ranges = ['1D', '1W', '1M', 'YTD', '1Y', 'ALL'];

export function Home() {
  useEffect(() => {
    document.title = 'Portfolio · Rosetree';
    const t = setTimeout(() => { for (const part of [AddTransaction, Detail, Manage]) part.early().catch(() => {}); }, 3000);
    return () => clearTimeout(t);
  }, []);
  const list = portfolios.value;
  if (trouble.value && !list) return html`<div class="card empty"><${Trouble} error=${trouble.value} /><button type="button" class="btn primary" onClick=${() => load()}>Try again</button></div>`;
  if (list && !list.length) return html`<${Welcome} />${creating.value && html`<${NewPortfolio} />`}`;
  return html`<${Hero} /><${Allocation} /><${Holdings} />
    ${adding.value && current.value && html`<${AddTransaction} initial=${adding.value} close=${() => { adding.value = null; }} />`}
    ${shown.value && html`<${Detail} symbol=${shown.value} close=${() => { shown.value = null; }} />`}
    ${creating.value && html`<${NewPortfolio} />`}${managing.value && html`<${Manage} close=${() => { managing.value = false; }} />`}`;
}

function Welcome() {
  return html`<div class="card empty"><h1>Welcome to Rosetree</h1><ol class="steps">
      <li>Make a portfolio and choose its currency.</li><li>Add what you bought, or import it from a file.</li><li>Watch what it is worth, live, on every device.</li></ol>
    <button type="button" class="btn primary" onClick=${() => { creating.value = true; }}>Make a portfolio</button></div>`;
}

function NewPortfolio() {
  const close = () => { creating.value = false; };
  const form = useForm(async ({ name, base_currency }) => { await create(name, base_currency); close(); });
  return html`<${Dialog} title="New portfolio" close=${close}><form class="stack" onSubmit=${form.submit}>
    <${Field} label="Name" name="name" required maxlength="80" autofocus error=${form.error} />
    <${Field} label="Base currency" name="base_currency" required defaultValue="USD" pattern="[A-Z]{3}" maxlength="3" hint="Three letters: USD, EUR, GBP …" error=${form.error} />
    <${Trouble} error=${form.error} fields=${['name', 'base_currency']} />
    <div class="foot"><button class="btn primary" disabled=${form.busy}>Create</button></div></form><//>`;
}

export function Picker() {
  const list = portfolios.value ?? [];
  return html`<${Menu} left kind="btn quiet slim picker" label=${html`<span>${summary.value?.name ?? 'Portfolio'}</span><${Icon} name="down" size="14" />`}>
    ${list.map((p) => html`<button type="button" key=${p.id} aria-current=${p.id === current.value ? 'true' : undefined} onClick=${() => open(p.id)}>${p.name} <span class="soft small">${p.base_currency}</span></button>`)}
    <hr /><button type="button" onClick=${() => { creating.value = true; }}><${Icon} name="plus" size="16" />New portfolio</button>
    ${summary.value && html`<button type="button" onClick=${() => { managing.value = true; }}><${Icon} name="edit" size="16" />Portfolio and accounts</button>`}<//>`;
}

function Hero() {
  const t = totals.value, c = t?.currency ?? summary.value?.base_currency ?? '';
  const [range, setRange] = useState('1Y');
  const id = current.value;
  const perf = useAsked(async () => (id ? client.call('portfolio.performance', { portfolio: id, range }) : null), [id, range]).data;
  const unsure = (t?.missing?.length ?? 0) + (t?.stale?.length ?? 0) > 0;
  return html`<section class="card hero" aria-label="Total">
    <div class="sum"><${Picker} />
      <h1 class="soft small">Total value</h1>
      ${t ? html`<p class="total">${unsure ? '≈ ' : ''}${money(t.value, c)}<small>${c}</small></p>
        <p class="day"><${Delta} v=${t.day_change}>${money(t.day_change, c, true)} (${percent(t.day_change_pct)})<//> <span class="soft small">today</span></p>
        <${Unsure} t=${t} />` : html`<p class="total"><span class="skel">0,000,000.00</span></p><p class="day"><span class="skel">+00,000.00 (+0.00 %)</span></p>`}
      <dl class="figures">
        <div><dt>Unrealised</dt><dd>${t ? html`<${Delta} v=${t.unrealised}>${money(t.unrealised, c, true)}<//>` : '–'}</dd></div>
        <div><dt>Realised</dt><dd>${t ? html`<${Delta} v=${t.realised}>${money(t.realised, c, true)}<//>` : '–'}</dd></div>
        <div><dt>Total gain</dt><dd>${t ? html`<${Delta} v=${t.total_pnl}>${money(t.total_pnl, c, true)}<//>` : '–'}</dd></div>
        <div><dt>Income</dt><dd>${t ? money(t.income, c) : '–'}</dd></div>
        <div><dt>Return, ${range} <abbr title="time-weighted: what the investments did, whatever was paid in or out">TWR</abbr></dt><dd><${Delta} v=${perf?.twr}>${part(perf?.twr)}<//></dd></div>
        <div><dt>Return a year <abbr title="money-weighted: what your money earned, with the time it was in">XIRR</abbr></dt><dd><${Delta} v=${perf?.xirr}>${part(perf?.xirr)}${perf?.xirr_flag ? ' *' : ''}<//></dd></div>
        <div><dt>Volatility a year</dt><dd>${part(perf?.volatility, false)}</dd></div>
        <div><dt>Deepest fall</dt><dd>${part(perf?.max_drawdown)}</dd></div>
      </dl></div>
    <${Curve} range=${range} setRange=${setRange} /></section>`;
}

/** A fraction as per cent. @param {any} v @param {boolean} [sign] */
const part = (v, sign) => percent(v === null || v === undefined ? null : float(v) * 100, sign);

/** @param {{t:any}} p */
function Unsure({ t }) {
  const stale = t.stale?.length ?? 0, missing = t.missing?.length ?? 0;
  if (!stale && !missing) return null;
  return html`<p class="small soft">${[stale && `${stale} of ${symbols.value?.length ?? stale} prices stale`, missing && `not known: ${t.missing.slice(0, 4).join(', ')}${missing > 4 ? ` and ${missing - 4} more` : ''}`].filter(Boolean).join(' · ')}</p>`;
}

/** @param {{range:string, setRange:(r:string) => void}} p */
function Curve({ range, setRange }) {
  const id = current.value;
  const box = useRef(/** @type {HTMLDivElement|null} */ (null));
  const asked = useAsked(async () => (id ? client.call('portfolio.history', { portfolio: id, range, points: 200 }) : null), [id, range]);
  const plot = useRef(/** @type {any} */ (null)), drawn = useRef({ id, version: 0 });
  const points = asked.data?.points, empty = points && !points.some((/** @type {any} */ p) => float(p.value));
  useEffect(() => { // what is entered for last year changes more than the last point
    const { current: was } = drawn;
    drawn.current = { id, version: version.value };
    if (was.id === id && was.version && was.version !== version.value) asked.again();
  }, [id, version.value]);
  useEffect(() => {
    if (!box.current || !points || empty) return;
    let gone = false;
    const currency = totals.peek()?.currency ?? summary.peek()?.base_currency ?? '';
    import('../curve.js').then(({ draw }) => {
      if (!gone && box.current) plot.current = draw(box.current, points.map((/** @type {any} */ p) => [new Date(p.t).getTime() / 1000, float(p.value)]), { label: (v) => money(v, currency), when: time });
    });
    return () => { gone = true; plot.current?.destroy(); plot.current = null; };
  }, [asked.data]);
  useEffect(() => { // the curve's last point is now
    const t = totals.value;
    if (t && plot.current && paintedAt.value - (plot.current.at ?? 0) > 2000) plot.current.now(float(t.value));
  }, [paintedAt.value]);
  const none = asked.error ? asked.error.message : empty ? 'The curve begins with the first transaction.' : '';
  return html`<div class="chart"><div class="tools"><h2>Value</h2><${Segments} label="Range of the curve" value=${range} options=${ranges.map((r) => [r, r === 'ALL' ? 'All' : r])} onChange=${setRange} /></div>
    <div class="plot" ref=${box} role="img" aria-label=${`Value of the portfolio, ${range}`}>${none && html`<p class="none">${none}</p>`}</div></div>`;
}

/** How the value divides, as the server says it: twice a minute, and when the ledger changes. */
function Allocation() {
  const [by, setBy] = useState('class'), id = current.value;
  const asked = useAsked(async () => (id && symbols.value?.length ? client.call('portfolio.allocation', { portfolio: id, by }) : null), [id, by, version.value, !!symbols.value]);
  useEffect(() => whileShown(30000, asked.again), []);
  const all = (asked.data?.slices ?? []).filter((/** @type {any} */ s) => float(s.weight) > 0);
  if (!all.length) return null;
  const parts = all.length > 8 ? [...all.slice(0, 7), { key: 'others', name: `${all.length - 7} others`, weight: all.slice(7).reduce((/** @type {number} */ sum, /** @type {any} */ s) => sum + float(s.weight), 0) }] : all;
  return html`<section class="card alloc" aria-label="Allocation"><div class="row"><h2 class="grow">Allocation</h2>
      <${Segments} label="Allocation by" value=${by} options=${[['class', 'Class'], ['currency', 'Currency'], ['account', 'Account'], ['symbol', 'Symbol']]} onChange=${setBy} /></div>
    <div class="bar" aria-hidden="true">${parts.map((/** @type {any} */ p, /** @type {number} */ i) => html`<i class=${`k${i}`} key=${p.key} style=${{ flexGrow: float(p.weight) }} />`)}</div>
    <ul class="legend">${parts.map((/** @type {any} */ p, /** @type {number} */ i) => html`<li class=${`k${i}`} key=${p.key}><i></i>${by === 'symbol' ? p.key : classes[p.key] ?? (p.name || p.key)} <b>${float(p.weight).toFixed(1)} %</b></li>`)}</ul></section>`;
}

const classes = /** @type {Record<string, string>} */ ({ equity: 'Shares', etf: 'ETFs', fund: 'Funds', bond: 'Bonds', crypto: 'Crypto', fx: 'Currencies', index: 'Indices', manual: 'Manual', cash: 'Cash' });
