import { Dialog, Trouble, toast } from '../ui.js';
import { api, url } from '../api.js';
import { day, quantity } from '../format.js';
import { html, useState } from '../vendor/preact.js';

const colours = /** @type {Record<string, string>} */ ({ new: 'good', ok: 'good', duplicate: '', invalid: 'bad', error: 'bad', warning: 'warn' });

/** Reads a file twice: first to show what would happen to each row, then for good. @param {{portfolio:string, close:() => void, done:() => void}} p */
export function Import({ portfolio, close, done }) {
  const [file, setFile] = useState(/** @type {{name:string, text:string}|null} */ (null));
  const [report, setReport] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const send = async (/** @type {string} */ text, /** @type {boolean} */ dry) => {
    setBusy(true);
    setError(null);
    try {
      return await api('POST', url(`/api/portfolios/${portfolio}/import`, { dry_run: dry || undefined }), text, { text: true, key: crypto.randomUUID() });
    } catch (e) {
      setError(e);
      return null;
    } finally {
      setBusy(false);
    }
  };
  const chosen = async (/** @type {any} */ e) => {
    const f = e.target.files?.[0];
    if (!f) return;
    const text = await f.text();
    setFile({ name: f.name, text });
    setReport(await send(text, true));
  };
  const take = async () => {
    const r = await send(file?.text ?? '', false);
    if (!r) return;
    const id = r.import ?? r.id;
    toast(`${r.added ?? good} rows imported`, id && 'Undo', () => api('DELETE', `/api/portfolios/${portfolio}/imports/${id}`).then(() => { toast('Import undone'); done(); }, (err) => toast(err.message)));
    close();
    done();
  };
  const rows = report?.rows ?? [], good = rows.filter((/** @type {any} */ r) => ['new', 'ok'].includes(r.verdict)).length;
  return html`<${Dialog} title="Import" close=${close}>
    <div class="field"><label for="file">A CSV or JSON file, as your broker or another tracker exports it</label><input id="file" type="file" accept=".csv,.json,.txt,text/csv,application/json" onChange=${chosen} /></div>
    <${Trouble} error=${error} />
    ${report && html`<p>${file?.name}${report.format ? ` · ${report.format}` : ''}: <b>${good}</b> new, ${rows.length - good} others. Nothing has been changed yet.</p>
      <div class="scroll log"><table><thead><tr><th scope="col" class="num">Row</th><th scope="col">Verdict</th><th scope="col">When</th><th scope="col">What</th><th scope="col" class="num">Quantity</th></tr></thead>
        <tbody>${rows.slice(0, 500).map((/** @type {any} */ r, /** @type {number} */ i) => html`<tr key=${i}><td class="num">${r.row ?? r.line ?? i + 1}</td><td><span class=${`tag ${colours[r.verdict] ?? ''}`}>${r.verdict}</span> <span class="small">${r.message ?? r.reason ?? ''}</span></td>
          <td>${day((r.transaction ?? r).executed_at)}</td><td>${(r.transaction ?? r).type} ${(r.transaction ?? r).symbol}</td><td class="num">${quantity((r.transaction ?? r).quantity)}</td></tr>`)}</tbody></table></div>`}
    <div class="foot"><button type="button" class="btn" onClick=${close}>Cancel</button><button type="button" class="btn primary" disabled=${busy || !good} onClick=${take}>${report ? `Import ${good} rows` : 'Import'}</button></div><//>`;
}
