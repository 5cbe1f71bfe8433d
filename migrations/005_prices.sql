\set ON_ERROR_STOP 1
-- Price alerts that fire once, what they said, quotes in minor units, and news of prices that users give themselves. Like 001: one
-- transaction, to be run again at any time.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.migrations', 0)); END $$;
SET LOCAL lock_timeout = '3s';
SET LOCAL ROLE app;

-- How much of the currency one quoted unit is: 0.01 where London quotes in pence. Prices are kept in the currency.
ALTER TABLE app.instruments ADD COLUMN IF NOT EXISTS minor_unit_factor numeric NOT NULL DEFAULT 1 CHECK (minor_unit_factor > 0 AND minor_unit_factor <= 1);

-- revision: a server fires an alert only as it knows it; one that was edited, fired or re-armed meanwhile is another alert.
-- changed_at: servers that missed the news of a change find it here. shares_at: the threshold is per share of this day, so that
-- splits after it move it without anybody writing. The secret signs what the webhook is sent.
ALTER TABLE app.alerts ADD COLUMN IF NOT EXISTS revision bigint NOT NULL DEFAULT 1;
ALTER TABLE app.alerts ADD COLUMN IF NOT EXISTS changed_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE app.alerts ADD COLUMN IF NOT EXISTS shares_at date NOT NULL DEFAULT current_date;
ALTER TABLE app.alerts ADD COLUMN IF NOT EXISTS webhook_secret text;
ALTER TABLE app.alerts DROP COLUMN IF EXISTS delivered_at;      -- of one firing; an alert that re-arms has many
CREATE INDEX IF NOT EXISTS alerts_changed ON app.alerts (changed_at);

-- Each time that an alert came true. Kept until its owner has seen it, and some weeks after.
CREATE TABLE IF NOT EXISTS app.alert_firings (
  user_id       uuid NOT NULL REFERENCES app.users (id) ON DELETE CASCADE,
  id            uuid NOT NULL,
  alert_id      uuid NOT NULL,                   -- may be deleted since
  symbol        text NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('above', 'below', 'day_pct')),
  threshold     numeric NOT NULL,                -- in shares of the day on which it fired
  price         numeric NOT NULL CHECK (price > 0 AND price < 'Infinity'),
  price_at      timestamptz NOT NULL,
  source        text NOT NULL DEFAULT '',
  note          text NOT NULL DEFAULT '',
  fired_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at       timestamptz,
  webhook       text,
  webhook_tries int NOT NULL DEFAULT 0,
  webhook_next  timestamptz,                     -- when it is to be tried; null: there is nothing to send, or it is sent or given up
  webhook_done  timestamptz,
  webhook_error text NOT NULL DEFAULT '',
  PRIMARY KEY (user_id, id));
CREATE INDEX IF NOT EXISTS alert_firings_unseen ON app.alert_firings (user_id, fired_at) WHERE seen_at IS NULL;
CREATE INDEX IF NOT EXISTS alert_firings_fired ON app.alert_firings (fired_at);
CREATE INDEX IF NOT EXISTS alert_firings_webhook ON app.alert_firings (webhook_next) WHERE webhook_next IS NOT NULL;

CREATE OR REPLACE FUNCTION app_private.alert_next_revision() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN NEW.revision := OLD.revision + 1; NEW.changed_at := clock_timestamp(); RETURN NEW; END $$;
-- A price that a user gives, or another name or currency of an instrument of theirs, is news of the portfolios that hold it.
CREATE OR REPLACE FUNCTION app_private.own_price_touch() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  UPDATE app.portfolios p SET version = version + 1
   WHERE (p.user_id, p.id) IN (SELECT t.user_id, t.portfolio_id FROM app.transactions t JOIN changed c ON c.user_id = t.user_id AND c.symbol = t.symbol);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION app_private.alert_next_revision(), app_private.own_price_touch() FROM PUBLIC;
DO $$
DECLARE t record;
BEGIN
  FOR t IN SELECT * FROM (VALUES
      ('alerts',           'a_revision',   'BEFORE UPDATE', 'FOR EACH ROW', 'alert_next_revision'),
      ('user_prices',      'touch_insert', 'AFTER INSERT',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'own_price_touch'),
      ('user_prices',      'touch_update', 'AFTER UPDATE',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'own_price_touch'),
      ('user_prices',      'touch_delete', 'AFTER DELETE',  'REFERENCING OLD TABLE AS changed FOR EACH STATEMENT', 'own_price_touch'),
      ('user_instruments', 'touch_update', 'AFTER UPDATE',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'own_price_touch'),
      ('user_instruments', 'touch_delete', 'AFTER DELETE',  'REFERENCING OLD TABLE AS changed FOR EACH STATEMENT', 'own_price_touch')
    ) AS v(rel, name, moment, level, fn)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = format('app.%I', t.rel)::regclass AND g.tgname = t.name
                     AND g.tgenabled = 'O' AND g.tgfoid = format('app_private.%I', t.fn)::regproc) THEN
      EXECUTE format('CREATE OR REPLACE TRIGGER %I %s ON app.%I %s EXECUTE FUNCTION app_private.%I()', t.name, t.moment, t.rel, t.level, t.fn);
      EXECUTE format('ALTER TABLE app.%I ENABLE TRIGGER %I', t.rel, t.name);
    END IF;
  END LOOP;
END $$;

INSERT INTO app_private.rls_class (rel, owner_col, ord, fixture) VALUES
  ('alert_firings', 'user_id', 3, 'INSERT INTO app.alert_firings (user_id, id, alert_id, symbol, kind, threshold, price, price_at) VALUES (%1$L, %1$L, %1$L, ''RLS-TEST'', ''above'', 1, 1, now())')
ON CONFLICT (rel) DO UPDATE SET owner_col = excluded.owner_col, ord = excluded.ord, fixture = excluded.fixture;
INSERT INTO app_private.rls_access (rel, who, privs) VALUES
  ('alert_firings', 'owner', '{SELECT,INSERT,UPDATE,DELETE}'),
  ('alert_firings', 'feed',  '{SELECT,INSERT,UPDATE,DELETE}')
ON CONFLICT (rel, who) DO UPDATE SET privs = excluded.privs;
SELECT app_private.protect();
RESET ROLE;
COMMIT;
