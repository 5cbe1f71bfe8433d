\set ON_ERROR_STOP 1
-- Candles: what prices did in each minute, five minutes, hour and day. One partition per interval, because each is kept for another
-- time (prices/candle.go says how long). Like 001: one transaction, to be run again at any time.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.migrations', 0)); END $$;
SET LOCAL lock_timeout = '3s';
SET LOCAL ROLE app;

CREATE TABLE IF NOT EXISTS app.candles (
  symbol text        NOT NULL,
  span   text        NOT NULL CHECK (span IN ('1m', '5m', '1h', '1d')),
  start  timestamptz NOT NULL,               -- of a day: 00:00 UTC of the session's date
  open   numeric     NOT NULL CHECK (open > 0 AND open < 'Infinity'),
  high   numeric     NOT NULL CHECK (high >= open AND high >= close AND high < 'Infinity'),
  low    numeric     NOT NULL CHECK (low > 0 AND low <= open AND low <= close),
  close  numeric     NOT NULL CHECK (close > 0)) PARTITION BY LIST (span);
-- Nothing is granted on the partitions: a partition that is addressed directly would not ask its parent's policies.
CREATE TABLE IF NOT EXISTS app.candles_1m PARTITION OF app.candles FOR VALUES IN ('1m');
CREATE TABLE IF NOT EXISTS app.candles_5m PARTITION OF app.candles FOR VALUES IN ('5m');
CREATE TABLE IF NOT EXISTS app.candles_1h PARTITION OF app.candles FOR VALUES IN ('1h');
CREATE TABLE IF NOT EXISTS app.candles_1d PARTITION OF app.candles FOR VALUES IN ('1d');
-- Each partition has its own indexes: those of a parent are what `pg_restore --clean` cannot drop ("cannot drop inherited constraint").
-- Writers use MERGE, which needs none; the unique index refuses the second of two that insert at the same moment.
DO $$
DECLARE p text;
BEGIN
  FOREACH p IN ARRAY '{1m,5m,1h,1d}'::text[] LOOP
    EXECUTE format('CREATE UNIQUE INDEX IF NOT EXISTS %I ON app.%I (symbol, start)', 'candles_' || p || '_key', 'candles_' || p);
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON app.%I (start)', 'candles_' || p || '_start', 'candles_' || p);  -- what is too old
  END LOOP;
END $$;

INSERT INTO app_private.rls_class (rel, owner_col, ord, fixture) VALUES
  ('candles', NULL, 2, 'INSERT INTO app.candles (symbol, span, start, open, high, low, close) VALUES (upper(left(%1$L, 32)), ''1d'', ''2000-01-01'', 1, 1, 1, 1)')
ON CONFLICT (rel) DO UPDATE SET owner_col = excluded.owner_col, ord = excluded.ord, fixture = excluded.fixture;
INSERT INTO app_private.rls_access (rel, who, privs) VALUES
  ('candles', 'all',  '{SELECT}'),
  ('candles', 'feed', '{SELECT,INSERT,UPDATE,DELETE}')
ON CONFLICT (rel, who) DO UPDATE SET privs = excluded.privs;
SELECT app_private.protect();
RESET ROLE;
COMMIT;
