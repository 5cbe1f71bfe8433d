import { h } from 'preact';
export { h, render, Fragment } from 'preact';
export { useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback } from 'preact/hooks';
export { signal, computed, effect, batch, untracked, useSignal, useComputed, useSignalEffect } from '@preact/signals';
export const html: (strings: TemplateStringsArray, ...values: any[]) => any;
export type { Signal } from '@preact/signals';
