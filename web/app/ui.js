import { html, signal, useEffect, useRef, useState } from './vendor/preact.js';
import { direction } from './format.js';

/** @param {{v:any, children:any}} p a change: its sign, its arrow and its colour say the same thing */
export function Delta({ v, children }) {
  const d = direction(v);
  return html`<span class=${`delta ${d > 0 ? 'up' : d < 0 ? 'down' : ''}`}>${d ? html`<i aria-hidden="true">${d > 0 ? '▲' : '▼'}</i>` : null}${children}</span>`;
}

/** A phone's width: cards instead of tables. */
export const narrow = signal(matchMedia('(max-width: 620px)').matches);
matchMedia('(max-width: 620px)').addEventListener('change', (e) => { narrow.value = e.matches; });

const paths = {
  home: 'M3 11.5 12 4l9 7.5M5.5 10v9.5h13V10', activity: 'M4 6h16M4 12h16M4 18h10', devices: 'M4 5h16v10H4zM9 19h6M12 15v4', admin: 'M12 3l8 3v6c0 5-3.5 8-8 9-4.500-1-8-4-8-9V6z',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.500 4.500', sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500 19 19M5 19l1.500-1.500M17.500 6.500 19 5',
  eye: 'M2 12s3.500-6.500 10-6.500S22 12 22 12s-3.500 6.500-10 6.500S2 12 2 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z', down: 'M6 9l6 6 6-6', up: 'M6 15l6-6 6 6', watch: 'M12 4l2.500 5.200 5.500.700-4 4 1 5.600-5-2.700-5 2.700 1-5.600-4-4 5.500-.700z', close: 'M6 6l12 12M18 6 6 18', plus: 'M12 5v14M5 12h14',
  pause: 'M8 5v14M16 5v14', play: 'M7 4.500v15l12-7.500z', bell: 'M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 21h4', edit: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3', trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13', upload: 'M12 16V4M7 9l5-5 5 5M5 20h14', columns: 'M4 5h16v14H4zM10 5v14M15 5v14',
};

/** @param {{name:keyof typeof paths, size?:number}} p */
export const Icon = ({ name, size = 18 }) =>
  html`<svg width=${size} height=${size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${paths[name]} /></svg>`;

/**
 * A modal dialog that opens when it is drawn; Escape and the backdrop close it unless it is an alert.
 * @param {{title:string, close?:() => void, kind?:string, alert?:boolean, children?:any}} p
 */
export function Dialog({ title, close, kind = 'sheet', alert = false, children }) {
  const ref = useRef(/** @type {HTMLDialogElement|null} */ (null));
  useEffect(() => {
    const d = ref.current, before = document.activeElement;
    if (d && !d.open) d.showModal();
    return () => { // may run after the dialog is gone: who has moved on meanwhile keeps the focus
      const now = document.activeElement;
      if (before instanceof HTMLElement && before.isConnected && (!now || now === document.body || d?.contains(now))) before.focus();
    };
  }, []);
  const id = `d-${title.replace(/\W/g, '')}`;
  return html`<dialog ref=${ref} class=${kind} role=${alert ? 'alertdialog' : undefined} aria-labelledby=${id}
      onCancel=${(/** @type {Event} */ e) => { e.preventDefault(); close?.(); }} onClick=${(/** @type {Event} */ e) => e.target === ref.current && !alert && close?.()}>
    <div class="head"><h2 id=${id}>${title}</h2>${close && html`<button type="button" class="btn quiet icon" aria-label="Close" onClick=${close}><${Icon} name="close" /></button>`}</div>
    <div class="body">${children}</div>
  </dialog>`;
}

/** @param {{label:string, name:string, error?:any, hint?:string, children?:any}} p an input with its label and what is wrong with it.
 * It begins with defaultValue: a value would be written back over what was typed each time the form is drawn anew. */
export function Field({ label, name, error, hint, children, ...rest }) {
  const bad = error?.field === name;
  return html`<div class=${bad ? 'field bad' : 'field'}><label for=${`f-${name}`}>${label}</label>
    ${children ?? html`<input id=${`f-${name}`} name=${name} aria-invalid=${bad ? 'true' : undefined} aria-describedby=${bad || hint ? `e-${name}` : undefined} ...${rest} />`}
    ${bad ? html`<span class="err" id=${`e-${name}`}>${error.message}</span>` : hint && html`<span class="small soft" id=${`e-${name}`}>${hint}</span>`}</div>`;
}

/** What is wrong, where no field of the form is at fault. @param {{error:any, fields?:string[]}} p */
export const Trouble = ({ error, fields = [] }) => (error && !fields.includes(error.field) ? html`<p class="problem" role="alert">${error.message}</p>` : null);

/** @param {{label:any, children:any, kind?:string, title?:string, left?:boolean}} p a button with a menu under it */
export function Menu({ label, children, kind = 'btn quiet slim', title, left }) {
  const [open, setOpen] = useState(false);
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  useEffect(() => {
    if (!open) return;
    const away = (/** @type {Event} */ e) => !(e.target instanceof Node && ref.current?.contains(e.target)) && setOpen(false);
    const key = (/** @type {KeyboardEvent} */ e) => {
      if (e.key === 'Escape') setOpen(false), ref.current?.querySelector('button')?.focus();
    };
    const shut = () => setOpen(false);
    addEventListener('pointerdown', away);
    addEventListener('keydown', key);
    if (at) addEventListener('scroll', shut, true);
    return () => { removeEventListener('pointerdown', away); removeEventListener('keydown', key); removeEventListener('scroll', shut, true); };
  }, [open]);
  const inTable = open && ref.current?.closest('.scroll'), r = inTable && ref.current?.getBoundingClientRect(); // a table that scrolls would cut it off
  const at = r ? { position: 'fixed', top: `${r.bottom + 6}px`, right: `${innerWidth - r.right}px` } : undefined;
  return html`<div class=${left ? 'menu left' : 'menu'} ref=${ref}>
    <button type="button" class=${kind} aria-expanded=${open ? 'true' : 'false'} title=${title} onClick=${() => setOpen(!open)}>${label}</button>
    ${open && html`<div style=${at} onClick=${(/** @type {any} */ e) => e.target.closest('a,button') && setOpen(false)}>${children}</div>`}
  </div>`;
}

/** @param {{value:string, options:string[]|[string,string][], onChange:(v:any) => void, label:string}} p one of a few */
export const Segments = ({ value, options, onChange, label }) => html`<div class="seg" role="group" aria-label=${label}>
  ${options.map((o) => (Array.isArray(o) ? o : [o, o])).map(([v, text]) => html`<button type="button" key=${v} aria-pressed=${v === value ? 'true' : 'false'} onClick=${() => onChange(v)}>${text}</button>`)}</div>`;

/** Calls fn every so many milliseconds while the page is on screen, and at once when it comes back to it: a hidden page wakes nobody. @param {number} ms @param {() => void} fn @returns {() => void} ends it */
export function whileShown(ms, fn) {
  let t = 0;
  const turn = () => {
    clearInterval(t);
    if (!document.hidden) t = window.setInterval(fn, ms);
  };
  const back = () => { turn(); if (!document.hidden) fn(); };
  turn();
  document.addEventListener('visibilitychange', back);
  return () => { clearInterval(t); document.removeEventListener('visibilitychange', back); };
}

const toasts = signal(/** @type {{id:number, text:string, action?:string, run?:() => void}[]} */ ([]));
let toastIds = 0;

/** Says what was done, for a few seconds; with a way back where there is one. @param {string} text @param {string} [action] @param {() => void} [run] */
export function toast(text, action, run) {
  const id = ++toastIds;
  toasts.value = [...toasts.value.slice(-2), { id, text, action, run }];
  setTimeout(() => drop(id), action ? 10000 : 5000);
}

const drop = (/** @type {number} */ id) => { toasts.value = toasts.value.filter((t) => t.id !== id); };

export const Toasts = () => html`<div class="toasts" role="status" aria-live="polite">
  ${toasts.value.map((t) => html`<div class="toast" key=${t.id}>${t.text}${t.action && html`<button type="button" onClick=${() => { drop(t.id); t.run?.(); }}>${t.action}</button>`}</div>`)}</div>`;

/** A form's state: busy, the problem, and a submit that hands over its fields as text. @param {(fields:Record<string,string>, form:HTMLFormElement) => Promise<any>} send */
export function useForm(send) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  const submit = async (/** @type {SubmitEvent} */ e) => {
    e.preventDefault();
    const form = /** @type {HTMLFormElement} */ (e.currentTarget);
    setBusy(true);
    setError(null);
    try {
      await send(/** @type {any} */ (Object.fromEntries(new FormData(form))), form);
    } catch (err) {
      setError(err);
      const field = /** @type {any} */ (err).field;
      /** @type {HTMLElement|null} */ (field && form.querySelector(`[name="${CSS.escape(field)}"]`))?.focus();
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, submit };
}

/** What the server has at a path; again() asks anew. @param {() => Promise<any>} ask @param {any[]} deps */
export function useAsked(ask, deps) {
  const [state, setState] = useState(/** @type {{data:any, error:any}} */ ({ data: undefined, error: null }));
  const [turn, setTurn] = useState(0);
  const meanwhile = useRef(/** @type {((data:any) => any)[]|null} */ (null)); // changes since the question under way, whose answer may not know of them
  useEffect(() => {
    /** @type {((data:any) => any)[]} */ const since = [];
    meanwhile.current = since;
    const answered = (/** @type {(s:{data:any, error:any}) => any} */ fn) => {
      if (meanwhile.current !== since) return; // another question has been asked
      meanwhile.current = null;
      setState(fn);
    };
    ask().then((data) => answered(() => ({ data: since.reduce((d, change) => change(d), data), error: null })), (error) => answered((s) => ({ ...s, error })));
    return () => { meanwhile.current = null; };
  }, [...deps, turn]);
  const change = (/** @type {(data:any) => any} */ fn) => {
    meanwhile.current?.push(fn);
    setState((s) => (s.data ? { ...s, data: fn(s.data) } : s));
  };
  return { ...state, again: () => setTurn((n) => n + 1), put: (/** @type {any} */ data) => setState({ data, error: null }), change };
}

/** A component that is loaded when it is first drawn, or when early() asks for it: offline nothing can be loaded any more. @param {() => Promise<any>} load */
export function later(load) {
  /** @type {any} */ let C = null;
  const early = () => load().then((c) => { C = c; });
  const Later = (/** @type {any} */ props) => {
    const [, turn] = useState(0);
    useEffect(() => { if (!C) early().then(() => turn(1), () => toast('This part could not be loaded. Reload the page.')); }, []);
    return C ? html`<${C} ...${props} />` : null;
  };
  return Object.assign(Later, { early });
}
