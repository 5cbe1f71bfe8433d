import assert from 'node:assert/strict';
import { test } from 'node:test';
import { times } from '../../app/decimal.js';

for (const [a, b, want] of [['10', '189.12', '1891.20'], ['0.1', '0.2', '0.02'], ['-3', '0.5', '-1.5'], ['0', '5', '0'], ['12345678901234567890.123456789', '3', '37037036703703703670.370370367']]) {
  test(`${a} × ${b} is exactly ${want}`, () => assert.equal(times(a, b), want));
}
