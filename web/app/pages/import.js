import { Dialog, Trouble, toast, useAsked } from '../ui.js';
import { api, url } from '../api.js';
import { client } from '../live.js';
import { amount, count, day, quantity, time } from '../format.js';
import { html, signal, useState } from '../vendor/preact.js';

const colours = /** @type {Record<string, string>} */ ({ new: 'good', invalid: 'bad', skipped: 'warn' });
const SHOWN = 500; // rows of the report; the counts above it are of all

/** @param {string} portfolio @param {string} id @param {() => void} done */
const undo = (portfolio, id, done) => client.call('import.undo', { portfolio, import: id }).then(() => { toast('Import undone'); done(); }, (e) => toast(e.message));

/** Long imports of this person that are under way, by their run, whichever window or device began them. */
const running = signal(/** @type {Map<string, any>} */ (new Map()));

/** @returns {() => void} */
export function followImports() {
  const off = [client.follow('imports'), client.on('welcome', () => { running.value = new Map(); }), client.on('import', (m) => {
    const next = new Map(running.value).set(m.run, m);
    if (m.phase === 'done' || m.phase === 'failed') next.delete(m.run);
    running.value = next;
  })];
  return () => { off.forEach((f) => f()); running.value = new Map(); };
}

/** How far they are. @param {{portfolio:string|null}} p */
export const Progress = ({ portfolio }) => [...running.value.values()].filter((m) => m.portfolio === portfolio).map((m) => html`<div class="card pad progress" key=${m.run} data-phase=${m.phase}>
  <p><b>${m.dry_run ? 'Trying a file' : 'Importing'}</b> <span class="soft">· ${m.phase === 'checking' ? 'looking at' : 'writing'} row ${count(m.done)} of ${count(m.total)}</span></p>
  <progress max=${m.total || 1} value=${m.done} aria-label=${m.phase === 'checking' ? 'Rows looked at' : 'Rows written'}></progress></div>`);

/** Reads a file twice: first to show what would happen to each row, then for good. @param {{portfolio:string, close:() => void, done:() => void}} p */
export function Import({ portfolio, close, done }) {
  const [file, setFile] = useState(/** @type {{name:string, content:ArrayBuffer}|null} */ (null)); // as it is: the server says whether it is text
  const [report, setReport] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const [skip, setSkip] = useState(false);
  const earlier = useAsked(() => client.call('import.list', { portfolio }), [portfolio]);
  const send = async (/** @type {{name:string, content:ArrayBuffer}} */ f, /** @type {boolean} */ dry) => {
    setBusy(true);
    setError(null);
    const query = { file_name: f.name, dry_run: dry || undefined, skip_invalid: (!dry && skip) || undefined };
    const answer = await api('POST', url(`/api/portfolios/${portfolio}/import`, query), f.content, { text: true }).catch((e) => { setError(e); return null; });
    setBusy(false);
    return answer;
  };
  const chosen = async (/** @type {any} */ e) => {
    const f = e.target.files?.[0];
    if (!f) return;
    const read = { name: f.name, content: await f.arrayBuffer() };
    setFile(read);
    setReport(await send(read, true));
  };
  const take = async () => {
    const r = file && (await send(file, false));
    if (!r) return;
    toast(`${amount(r.added, 'row')} imported`, r.import && 'Undo', () => undo(portfolio, r.import, done));
    close();
    done();
  };
  const fresh = report ? report.total - report.duplicates - report.invalid - report.skipped : 0;
  return html`<${Dialog} title="Import" kind="sheet broad" close=${close}>
    <div class="field"><label for="file">A CSV or JSON file, as your broker or another tracker exports it</label><input id="file" type="file" accept=".csv,.json,.txt" onChange=${chosen} /></div>
    <${Trouble} error=${error} />
    ${busy && html`<${Progress} portfolio=${portfolio} />`}
    ${report && html`<${Report} report=${report} fresh=${fresh} name=${file?.name ?? ''} />`}
    ${report?.invalid > 0 && html`<label class="check"><input type="checkbox" checked=${skip} onChange=${(/** @type {any} */ e) => setSkip(e.target.checked)} />Leave out the ${amount(report.invalid, 'row')} that cannot be taken</label>`}
    ${!report && html`<${Earlier} list=${earlier.data?.imports ?? []} undo=${(/** @type {string} */ id) => undo(portfolio, id, () => { earlier.again(); done(); })} />`}
    <div class="foot"><button type="button" class="btn" onClick=${close}>Cancel</button><button type="button" class="btn primary" disabled=${busy || !fresh || (report?.invalid > 0 && !skip)} onClick=${take}>${report ? `Import ${amount(fresh, 'row')}` : 'Import'}</button></div><//>`;
}

/** @param {{report:any, fresh:number, name:string}} p */
const Report = ({ report, fresh, name }) => html`<p role="status">${name} · ${report.format}: <b>${count(fresh)} new</b>, ${count(report.duplicates)} known already, ${count(report.invalid)} cannot be taken, ${count(report.skipped)} left out. Nothing has been changed yet.</p>
  ${report.instruments?.length > 0 && html`<p class="small soft">Not known yet, and kept as manual instruments: ${report.instruments.join(', ')}.</p>`}
  ${report.oversold?.length > 0 && html`<p class="small soft">More is sold than was bought of ${report.oversold.join(', ')}: the profit of the missing units is not known.</p>`}
  <div class="scroll report" tabindex="0"><table><thead><tr><th scope="col" class="num">Row</th><th scope="col">Verdict</th><th scope="col" class="wide">When</th><th scope="col">What</th><th scope="col" class="num">Quantity</th></tr></thead>
    <tbody>${report.rows.slice(0, SHOWN).map((/** @type {any} */ r) => html`<tr key=${r.row}><td class="num">${r.row}</td><td><span class=${`tag ${colours[r.verdict] ?? ''}`}>${r.verdict}</span> <span class="small">${r.message}</span></td>
      <td class="nowrap wide">${day(r.transaction?.executed_at)}</td><td class="nowrap">${r.transaction?.type} ${r.transaction?.symbol}</td><td class="num">${quantity(r.transaction?.quantity)}</td></tr>`)}</tbody></table></div>`;

/** @param {{list:any[], undo:(id:string) => void}} p */
const Earlier = ({ list, undo: back }) => (list.length ? html`<h3>Earlier imports</h3><ul class="parts">${list.map((i) => html`<li key=${i.id}><span class="grow"><b>${i.file_name || i.format}</b><br /><span class="soft small">${time(i.created_at)} · ${amount(i.added, 'row')}</span></span>
  ${i.undone_at ? html`<span class="tag">undone</span>` : html`<button type="button" class="btn slim" onClick=${() => back(i.id)}>Undo</button>`}</li>`)}</ul>` : null);
