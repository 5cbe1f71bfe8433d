import { signal } from '../vendor/preact.js';

/** The holding whose details are open. */
export const shown = signal(/** @type {string|null} */ (null));

/** The transaction that is being added, as far as it is known. */
export const adding = signal(/** @type {Record<string, any>|null} */ (null));
