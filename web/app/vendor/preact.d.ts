export { render } from 'preact';
export { useState, useEffect, useRef } from 'preact/hooks';
export { signal, computed, effect, batch } from '@preact/signals';
export const html: (strings: TemplateStringsArray, ...values: any[]) => any;
export type { Signal } from '@preact/signals';
