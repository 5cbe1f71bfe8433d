import { Health, useHealth } from '../health.js';
import { html } from '../../vendor/preact.js';

/** What the status page says of the parts, sooner. */
export function Parts() {
  return html`<${Health} of=${useHealth(2000)} />`;
}
