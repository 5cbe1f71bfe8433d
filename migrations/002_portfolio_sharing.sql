\set ON_ERROR_STOP 1
-- Read-only sharing of a portfolio, and the currency that a recorded exchange rate was meant for. Like 001: one transaction, to
-- be run again at any time.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.migrations', 0)); END $$;
SET LOCAL lock_timeout = '3s';
SET LOCAL ROLE app;

-- fx_rate is base units for one unit of currency; where the portfolio's base currency was changed since, fx_base says which base
-- that was, and the rate no longer counts. Null: the portfolio's.
ALTER TABLE app.transactions ADD COLUMN IF NOT EXISTS fx_base text CHECK (fx_base ~ '^[A-Z]{3}$');

-- grantee_id has no foreign key: it would tell which ids exist. It is null where nobody had the address when it was given, so that
-- giving a share does not tell who is a user. Grantees do not read this table: the server looks a share up in the relay's scope,
-- and then reads the rows in their owner's.
CREATE TABLE IF NOT EXISTS app.portfolio_grants (
  user_id       uuid NOT NULL,                     -- whose portfolio it is
  id            uuid NOT NULL,
  portfolio_id  uuid NOT NULL,
  grantee_id    uuid,
  grantee_email text NOT NULL,
  hide_amounts  boolean NOT NULL DEFAULT true,
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, id),
  UNIQUE (user_id, portfolio_id, grantee_email),
  FOREIGN KEY (user_id, portfolio_id) REFERENCES app.portfolios (user_id, id) ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS portfolio_grants_grantee ON app.portfolio_grants (grantee_id, portfolio_id);

-- A share that is given or taken away is news of the portfolio: every server that shows it asks again who may see it.
DO $$
DECLARE t record;
BEGIN
  FOR t IN SELECT * FROM (VALUES
      ('stays',        'BEFORE UPDATE', 'FOR EACH ROW', 'portfolio_stays'),
      ('touch_insert', 'AFTER INSERT',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'portfolio_touch'),
      ('touch_update', 'AFTER UPDATE',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'portfolio_touch'),
      ('touch_delete', 'AFTER DELETE',  'REFERENCING OLD TABLE AS changed FOR EACH STATEMENT', 'portfolio_touch')
    ) AS v(name, moment, level, fn)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = 'app.portfolio_grants'::regclass AND g.tgname = t.name
                     AND g.tgenabled = 'O' AND g.tgfoid = format('app_private.%I', t.fn)::regproc) THEN
      EXECUTE format('CREATE OR REPLACE TRIGGER %I %s ON app.portfolio_grants %s EXECUTE FUNCTION app_private.%I()', t.name, t.moment, t.level, t.fn);
      EXECUTE format('ALTER TABLE app.portfolio_grants ENABLE TRIGGER %I', t.name);
    END IF;
  END LOOP;
END $$;

INSERT INTO app_private.rls_class (rel, owner_col, ord, fixture) VALUES
  ('portfolio_grants', 'user_id', 4, 'INSERT INTO app.portfolio_grants (user_id, id, portfolio_id, grantee_email) VALUES (%1$L, %1$L, %1$L, ''self-test'')')
ON CONFLICT (rel) DO UPDATE SET owner_col = excluded.owner_col, ord = excluded.ord, fixture = excluded.fixture;
INSERT INTO app_private.rls_access (rel, who, privs) VALUES
  ('portfolio_grants', 'owner', '{SELECT,INSERT,UPDATE,DELETE}'),
  ('portfolio_grants', 'relay', '{SELECT}')
ON CONFLICT (rel, who) DO UPDATE SET privs = excluded.privs;
SELECT app_private.protect();
RESET ROLE;
COMMIT;
