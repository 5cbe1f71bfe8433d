import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from '../../app/entry.js';

const now = new Date('2026-11-23T10:00:00Z');

test('one line says a whole trade', () => {
  assert.deepEqual(parse('buy 10 aapl @ 189.12 fee 1', now).entry, { type: 'buy', quantity: '10', symbol: 'AAPL', price: '189.12', fee: '1', executed_at: now.toISOString() });
  assert.deepEqual(parse('sold 2,5 BTC-USD @64000', now).entry, { type: 'sell', quantity: '2.5', symbol: 'BTC-USD', price: '64000', executed_at: now.toISOString() });
});

test('an amount needs no price', () => {
  assert.deepEqual(parse('dividend 12.40 AAPL', now).entry, { type: 'dividend', amount: '12.40', symbol: 'AAPL', executed_at: now.toISOString() });
  assert.deepEqual(parse('deposit 500 EUR', now).entry, { type: 'deposit', amount: '500', currency: 'EUR', executed_at: now.toISOString() });
});

test('thousands are grouped as people do it, and what may mean two things is asked for again', () => {
  assert.equal(parse('buy 1,234.5 A @ 1.234,50', now).entry?.quantity, '1234.5');
  assert.equal(parse('buy 1,234.5 A @ 1.234,50', now).entry?.price, '1234.50');
  assert.equal(parse('deposit 1,234,567 EUR', now).entry?.amount, '1234567');
  assert.match(parse('buy 1,234 A @ 1', now).wrong ?? '', /1,234.*not understood/);
  assert.match(parse('buy 1 A @ 1,234', now).wrong ?? '', /1,234.*not a number/);
});

test('days', () => {
  assert.equal(parse('buy 1 A @ 1 on yesterday', now).entry?.executed_at, '2026-11-22T10:00:00.000Z');
  assert.equal(parse('buy 1 A @ 1 on 2025-02-03', now).entry?.executed_at?.slice(0, 10), '2025-02-03');
});

for (const [line, wrong] of [['', /Begin/], ['hold 3 A', /Begin/], ['buy A @ 3', /How many/], ['buy 3 @ 4', /Of what/], ['buy 3 A', /price/], ['buy 3 A @ x', /not a number/], ['buy 3 A @ 1 on 3.2.2025', /day/], ['deposit 5 EURO', /currency/], ['buy 3 A B @ 1', /not understood/]]) {
  test(`what is wrong is said: ${line || 'nothing'}`, () => assert.match(parse(String(line), now).wrong ?? '', /** @type {RegExp} */ (wrong)));
}
