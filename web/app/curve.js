import uPlot from './vendor/uplot.js';

/** The page's colours, as canvas needs them: resolved. @param {Element} at */
function inks(at) {
  const probe = document.createElement('i');
  at.append(probe);
  const ink = (/** @type {string} */ name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { line: ink('--accent'), soft: ink('--soft'), grid: ink('--line') };
  probe.remove();
  return found;
}

const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 2 });

/**
 * A curve of [seconds, value] with a crosshair.
 * @param {HTMLElement} box @param {[number, number][]} points @param {{label:(v:number) => string, when:typeof import('./format.js').time}} options how a value and an instant are written
 */
export function draw(box, points, { label, when }) {
  let ink = inks(box);
  const tip = document.createElement('div');
  tip.className = 'tip';
  const size = () => ({ width: box.clientWidth, height: Math.max(200, box.clientHeight) });
  const axis = { stroke: () => ink.soft, grid: { stroke: () => ink.grid, width: 1 }, ticks: { show: false }, font: '12px system-ui, "Liberation Sans", sans-serif' };
  const plot = new uPlot({
    ...size(), legend: { show: false }, padding: [10, 8, 0, 0],
    cursor: { y: false, points: { size: 8 } },
    scales: { x: { time: true } },
    axes: [{ ...axis, grid: { show: false } }, { ...axis, size: 62, values: (_, vs) => vs.map((v) => (box.closest('[data-hide]') ? '' : short.format(v))) }],
    series: [{}, {
      stroke: () => ink.line, width: 2, points: { show: false },
      fill: (u) => {
        const g = u.ctx.createLinearGradient(0, u.bbox.top, 0, u.bbox.top + u.bbox.height);
        g.addColorStop(0, ink.line.replace('rgb(', 'rgba(').replace(')', ', .2)'));
        g.addColorStop(1, ink.line.replace('rgb(', 'rgba(').replace(')', ', 0)'));
        return g;
      },
    }],
    hooks: {
      setCursor: [(u) => {
        const i = u.cursor.idx;
        tip.hidden = i === null || i === undefined;
        if (tip.hidden) return;
        const [x, y] = [u.data[0][i ?? 0], u.data[1][i ?? 0]];
        tip.textContent = `${when(x * 1000, points.length > 1 && points[points.length - 1][0] - points[0][0] < 172800 ? { timeStyle: 'short', dateStyle: 'short' } : { dateStyle: 'medium' })}   ${y === null || y === undefined ? '–' : label(y)}`;
        tip.style.left = `${Math.max(70, Math.min(box.clientWidth - tip.offsetWidth - 6, (u.cursor.left ?? 0) + 74))}px`;
      }],
    },
  }, columns(points), box);
  tip.hidden = true;
  box.append(tip);
  const resized = new ResizeObserver(() => plot.setSize(size()));
  resized.observe(box);
  const recolour = () => { ink = inks(box); plot.redraw(); };
  const themed = new MutationObserver(recolour);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme', 'data-hide'] });
  const dark = matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', recolour);
  let live = false;
  return {
    at: 0,
    /** Moves the last point to now. @param {number} value */
    now(value) {
      if (!Number.isFinite(value)) return;
      this.at = Date.now();
      if (live) points.pop();
      live = true;
      points.push([Date.now() / 1000, value]);
      plot.setData(columns(points));
    },
    destroy() {
      resized.disconnect();
      themed.disconnect();
      dark.removeEventListener('change', recolour);
      plot.destroy();
      tip.remove();
    },
  };
}

/** @param {[number, number][]} points @returns {any} */
const columns = (points) => [points.map((p) => p[0]), points.map((p) => (Number.isNaN(p[1]) ? null : p[1]))];
