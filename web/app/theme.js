// Runs before the first paint, as a classic script, so that no page flashes in the wrong theme.
(() => {
  let s = {};
  try { s = JSON.parse(localStorage.getItem('rosetree.settings') || '{}'); } catch { /* another program's value: the defaults */ }
  const root = document.documentElement;
  if (s.theme === 'light' || s.theme === 'dark') root.dataset.theme = s.theme;
  if (s.palette) root.dataset.palette = s.palette;
  if (s.density) root.dataset.density = s.density;
})();
