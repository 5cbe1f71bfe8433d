\set ON_ERROR_STOP 1
-- Rosetree's schema and its row level security. Run it alone (psql "$DATABASE_URL" < migrations/001_enable_rls.sql) or by
-- "rosetree migrate up"; on an empty database, on one of the legacy program, and again at any time, also after pg_restore.
-- It needs a superuser, or a role that owns the database, may CREATE ROLE, and owns (or is a member of the owner of) the tables.
-- One transaction: all of it applies, or nothing.
--
--   1 roles · 2 schemas, ownership, adoption of legacy tables · 3 the identity context · 4 tables · 5 triggers
--   6 who may do what (policies and grants) · 7 the old program's door · 8 the self-test: SELECT app.test_rls_isolation();
--
-- A new table in a later file: CREATE TABLE IF NOT EXISTS app.x (…), a row in app_private.rls_class with a fixture, rows in
-- app_private.rls_access, then SELECT app_private.protect(); the self-test fails until all four are there.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
-- One at a time: two parallel runs would fail with "tuple concurrently updated". Only this wait may be long.
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.migrations', 0)); END $$;
-- An ALTER that waits for its lock makes every later reader wait behind it: give up early, the runner tries again.
SET LOCAL lock_timeout = '3s';

-- 1. Roles ---------------------------------------------------------------------------------------------------------------
DO $$
DECLARE r record; legacy_ended boolean := false;
BEGIN
  IF to_regclass('app_private.legacy') IS NOT NULL THEN   -- adopted once, and the door closed since: the role does not come back
    EXECUTE 'SELECT EXISTS (SELECT FROM app_private.legacy_column) AND NOT EXISTS (SELECT FROM app_private.legacy)' INTO legacy_ended;
  END IF;
  FOR r IN SELECT * FROM (VALUES
      ('app',             'NOLOGIN'),   -- owns schema and tables; nobody logs in as it
      ('rosetree_api',    'LOGIN'),     -- the server's pool: sees one user's rows, or what a signed service scope opens
      ('rosetree_feed',   'LOGIN'),     -- price writers outside the server: reference data only, no user's table
      ('rosetree_legacy', 'NOLOGIN'),   -- the old program, until app_private.end_legacy()
      ('rosetree_backup', 'NOLOGIN')    -- pg_dump: FORCE ROW LEVEL SECURITY stops even the owner's dump
    ) AS v(name, attr)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r.name) AND NOT (legacy_ended AND r.name = 'rosetree_legacy') THEN
      EXECUTE format('CREATE ROLE %I %s NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION', r.name, r.attr);
    END IF;
  END LOOP;
  IF NOT pg_catalog.pg_has_role(current_user, 'app', 'member') THEN EXECUTE format('GRANT app TO %I', current_user); END IF;
  -- Lets the owner run the self-test as the runtime role; it also makes the dangerous reverse grant circular, so impossible.
  FOR r IN SELECT rolname AS name FROM pg_catalog.pg_roles WHERE rolname IN ('rosetree_api', 'rosetree_feed', 'rosetree_legacy') LOOP
    IF NOT pg_catalog.pg_has_role('app', r.name, 'member') THEN EXECUTE format('GRANT %I TO app', r.name); END IF;
  END LOOP;
  BEGIN
    IF NOT (SELECT rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = 'rosetree_backup') THEN ALTER ROLE rosetree_backup BYPASSRLS; END IF;
    IF NOT pg_catalog.pg_has_role('rosetree_backup', 'pg_read_all_data', 'member') THEN GRANT pg_read_all_data TO rosetree_backup; END IF;
  EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'rosetree_backup cannot dump yet: a superuser must run  ALTER ROLE rosetree_backup BYPASSRLS; GRANT pg_read_all_data TO rosetree_backup;';
  END;
  EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO app', current_database());
  EXECUTE format('REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO rosetree_api, rosetree_feed, rosetree_backup', current_database());
  IF NOT legacy_ended THEN EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO rosetree_legacy', current_database()); END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public') THEN REVOKE CREATE ON SCHEMA public FROM PUBLIC; END IF;
  -- Guard rails, not security: a statement inside the session can change them back. Written only where they differ, because
  -- roles are shared by all databases of the cluster and two migrations of two databases would collide on them.
  FOR r IN SELECT * FROM (VALUES ('statement_timeout', '5s'), ('idle_in_transaction_session_timeout', '10s'),
                                 ('lock_timeout', '2s'), ('search_path', '')) AS v(name, value)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles p, unnest(p.rolconfig) c
                    WHERE p.rolname = 'rosetree_api' AND c IN (r.name || '=' || r.value, r.name || '="' || r.value || '"')) THEN
      EXECUTE format('ALTER ROLE rosetree_api SET %I = %L', r.name, r.value);
    END IF;
  END LOOP;
END $$;

-- 2. Schemas and ownership -------------------------------------------------------------------------------------------------
CREATE SCHEMA IF NOT EXISTS app         AUTHORIZATION app;
CREATE SCHEMA IF NOT EXISTS app_private AUTHORIZATION app;
-- A restore without --role=app, or before the roles existed, leaves everything with the restoring login: take it back.
DO $$
DECLARE r record;
BEGIN
  FOR r IN
    SELECT format('ALTER SCHEMA %I OWNER TO app', n.nspname) AS ddl FROM pg_catalog.pg_namespace n
     WHERE n.nspname IN ('app', 'app_private') AND n.nspowner <> 'app'::regrole
    UNION ALL
    SELECT format('ALTER %s %s OWNER TO app', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
      FROM pg_catalog.pg_class c WHERE c.relnamespace IN ('app'::regnamespace, 'app_private'::regnamespace)
       AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND c.relowner <> 'app'::regrole
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND c.relkind = 'S')
    UNION ALL
    SELECT format('ALTER FUNCTION %s OWNER TO app', p.oid::regprocedure) FROM pg_catalog.pg_proc p
     WHERE p.pronamespace IN ('app'::regnamespace, 'app_private'::regnamespace) AND p.proowner <> 'app'::regrole
  LOOP EXECUTE r.ddl; END LOOP;
END $$;

-- Tables of the old program that stand in our schema: out of the way, section 4.4 takes their rows.
DO $$
DECLARE r record;
BEGIN
  FOR r IN SELECT c.oid::regclass AS rel FROM pg_catalog.pg_class c JOIN (VALUES ('users', 'display_name'), ('portfolios', 'cost_method'), ('transactions', 'account_id')) v(rel, col) ON v.rel = c.relname
            WHERE c.relnamespace = 'app'::regnamespace AND c.relkind = 'r' AND NOT c.relrowsecurity
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = v.col) LOOP
    CREATE SCHEMA IF NOT EXISTS app_legacy AUTHORIZATION app;
    EXECUTE format('ALTER TABLE %s SET SCHEMA app_legacy', r.rel);
  END LOOP;
END $$;

SET LOCAL ROLE app;
REVOKE ALL ON SCHEMA app, app_private FROM PUBLIC;
GRANT USAGE ON SCHEMA app TO rosetree_api, rosetree_feed;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- What "rosetree migrate" has applied; a file that psql ran is not in it.
CREATE TABLE IF NOT EXISTS app_private.schema_migration (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
REVOKE ALL ON app_private.schema_migration FROM PUBLIC;

-- 3. The identity context ----------------------------------------------------------------------------------------------------
-- The server signs "v1.<kid>.<scope>.<uid>.<exp>.<pid>.<mac>" and binds it as rosetree.ctx for one transaction. The setting is
-- only a claim: whoever changes it without the key gets an error (RT00x), whoever clears it gets no rows.
-- scope: u = one user; auth, feed, relay = the server's own work (uid is then the nil UUID).
CREATE TABLE IF NOT EXISTS app_private.ctx_key (
  kid       text PRIMARY KEY,                                   -- decimal digits, derived from the key
  ipad      bytea NOT NULL CHECK (octet_length(ipad) = 64),     -- the two HMAC pads, computed once
  opad      bytea NOT NULL CHECK (octet_length(opad) = 64),
  not_after timestamptz NOT NULL DEFAULT 'infinity');
REVOKE ALL ON app_private.ctx_key FROM PUBLIC;

CREATE OR REPLACE FUNCTION app_private.key_id(p_key bytea) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = '' AS
$$ SELECT (('x' || substr(encode(sha256(convert_to('rosetree.kid|', 'UTF8') || p_key), 'hex'), 1, 8))::bit(32)::bigint & 2147483647)::text $$;

-- Installs a key, or keeps it; the keys that are not in p_keys stop counting after p_grace, so that running servers can follow.
CREATE OR REPLACE FUNCTION app_private.set_ctx_keys(p_keys bytea[], p_grace interval DEFAULT '10 minutes') RETURNS int
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE raw bytea; k bytea; i bytea; o bytea;
BEGIN
  IF coalesce(cardinality(p_keys), 0) = 0 THEN RAISE EXCEPTION 'at least one context key is needed'; END IF;
  FOREACH raw IN ARRAY p_keys LOOP
    IF octet_length(raw) NOT BETWEEN 32 AND 64 THEN RAISE EXCEPTION 'a context key has 32 to 64 bytes'; END IF;
    k := raw || decode(repeat('00', 64 - octet_length(raw)), 'hex'); i := k; o := k;
    FOR n IN 0..63 LOOP
      i := set_byte(i, n, get_byte(k, n) # 54); o := set_byte(o, n, get_byte(k, n) # 92);
    END LOOP;
    INSERT INTO app_private.ctx_key (kid, ipad, opad) VALUES (app_private.key_id(raw), i, o)
    ON CONFLICT (kid) DO UPDATE SET ipad = excluded.ipad, opad = excluded.opad, not_after = 'infinity';
  END LOOP;
  DELETE FROM app_private.ctx_key WHERE not_after < now();
  UPDATE app_private.ctx_key SET not_after = now() + p_grace
   WHERE not_after = 'infinity' AND kid <> ALL (SELECT app_private.key_id(x) FROM unnest(p_keys) x);
  RETURN cardinality(p_keys);
END $$;

-- For operators and the self-test. A signing oracle: the runtime role must never reach it.
CREATE OR REPLACE FUNCTION app_private.mint_ctx(p_kid text, p_scope text, p_uid uuid, p_ttl int DEFAULT 30, p_pid int DEFAULT 0) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = '' AS $$
DECLARE b text := concat('v1.', p_kid, '.', p_scope, '.', p_uid, '.', extract(epoch FROM statement_timestamp())::bigint + p_ttl, '.', p_pid); r text;
BEGIN
  SELECT b || '.' || encode(sha256(k.opad || sha256(k.ipad || convert_to(concat('rosetree.ctx|', current_database(), '|', session_user, '|', b), 'UTF8'))), 'hex')
    INTO STRICT r FROM app_private.ctx_key k WHERE k.kid = p_kid;
  RETURN r;
END $$;

-- app.uid() and app.service(): two functions of one text, because a call from one into a shared third would cost every query
-- about 10 µs. Unset: NULL, so no rows. Anything wrong: RT001 refused, RT002 expired, RT003 another connection's.
-- As few expressions as possible: PL/pgSQL prepares each of them anew in every transaction, and that is most of the cost.
DO $do$
DECLARE f record;
BEGIN
  FOR f IN SELECT * FROM (VALUES ('uid',     'uuid', 'CASE WHEN f[3] = ''u'' THEN f[4]::uuid END'),
                                 ('service', 'text', 'CASE WHEN f[3] <> ''u'' THEN f[3] END')) AS v(name, type, answer)
  LOOP
    EXECUTE format($create$
CREATE OR REPLACE FUNCTION app.%1$I() RETURNS %2$s
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER COST 1000 SET search_path = '' AS $fn$
DECLARE
  tok text := nullif(current_setting('rosetree.ctx', true), '');
  f text[] := string_to_array(tok, '.');
  ki bytea; ko bytea;
BEGIN
  IF tok IS NULL THEN RETURN NULL; END IF;
  SELECT k.ipad, k.opad INTO ki, ko FROM app_private.ctx_key k WHERE k.kid = f[2] AND k.not_after > statement_timestamp();
  -- Both sides are hashed again under the key, so that the comparison's time says nothing about the MAC.
  IF ki IS NULL OR octet_length(tok) > 200 OR f[1] <> 'v1' OR array_length(f, 1) <> 7 OR
     sha256(ko || convert_to(encode(sha256(ko || sha256(ki || convert_to(concat('rosetree.ctx|', current_database(), '|', session_user, '|', left(tok, -1 - length(f[7]))), 'UTF8'))), 'hex'), 'UTF8'))
     <> sha256(ko || convert_to(f[7], 'UTF8')) THEN
    RAISE EXCEPTION 'identity context rejected' USING ERRCODE = 'RT001'; END IF;
  IF to_timestamp(f[5]::float8) NOT BETWEEN statement_timestamp() - interval '1 second' AND statement_timestamp() + interval '5 minutes' THEN
    RAISE EXCEPTION 'identity context expired' USING ERRCODE = 'RT002'; END IF;
  IF f[6] <> '0' AND f[6] <> pg_backend_pid()::text THEN
    RAISE EXCEPTION 'identity context bound to another connection' USING ERRCODE = 'RT003'; END IF;
  RETURN %3$s;
END $fn$ $create$, f.name, f.type, f.answer);
  END LOOP;
END $do$;
REVOKE ALL ON FUNCTION app.uid(), app.service() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.uid(), app.service() TO rosetree_api;

-- 4. Tables --------------------------------------------------------------------------------------------------------------------
-- The owner's user_id leads every primary key and is part of every foreign key between users' tables: otherwise a duplicate-key
-- or a foreign-key error would tell one user about another's rows. Numbers are numeric without scale; "< 'Infinity'" also refuses NaN.

-- 4.1 Who
CREATE TABLE IF NOT EXISTS app.users (
  id            uuid PRIMARY KEY,
  email         text NOT NULL,
  display_name  text NOT NULL DEFAULT '',
  role          text NOT NULL DEFAULT 'user'   CHECK (role IN ('user', 'admin', 'feed')),
  status        text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
  base_currency text NOT NULL DEFAULT 'USD'    CHECK (base_currency ~ '^[A-Z]{3}$'),
  created_at    timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS users_admins ON app.users (id) WHERE role = 'admin';
CREATE TABLE IF NOT EXISTS app.credentials (
  user_id       uuid PRIMARY KEY REFERENCES app.users (id) ON DELETE CASCADE,
  email_key     text NOT NULL UNIQUE,          -- the e-mail address as it is compared (lower case); visible to the auth service alone
  password_hash text,                          -- null: no password, the identity comes from the legacy path
  changed_at    timestamptz NOT NULL DEFAULT now());
-- The durable record of sessions; the live ones are in Redis.
CREATE TABLE IF NOT EXISTS app.sessions (
  id           text PRIMARY KEY,               -- the public session id, never the secret
  user_id      uuid NOT NULL REFERENCES app.users (id) ON DELETE CASCADE,
  via          text NOT NULL DEFAULT 'session' CHECK (via IN ('session', 'legacy', 'fallback')),
  device_name  text NOT NULL DEFAULT '',
  platform     text NOT NULL DEFAULT '',
  user_agent   text NOT NULL DEFAULT '',
  ip           text NOT NULL DEFAULT '',
  created_at   timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL,           -- the absolute end
  verifier     text NOT NULL DEFAULT '',       -- hash of the secret: with it, a lost Redis is filled again from here
  auth_at      timestamptz NOT NULL DEFAULT now(),
  idle_ms      bigint NOT NULL DEFAULT 0,
  legacy_id    text NOT NULL DEFAULT '',       -- the legacy session that was exchanged for this one
  ended_at     timestamptz,
  end_reason   text,
  ended_by     text);
CREATE INDEX IF NOT EXISTS sessions_user ON app.sessions (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS sessions_legacy ON app.sessions (legacy_id) WHERE legacy_id <> '';
CREATE INDEX IF NOT EXISTS sessions_live ON app.sessions (last_seen_at DESC, id) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS app.revocations (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('sid', 'user', 'jti', 'before', 'all')),
  subject    text NOT NULL DEFAULT '',
  keep       text NOT NULL DEFAULT '',         -- of kind user: the one session that stays
  not_before timestamptz,                      -- what was issued before this moment is revoked
  reason     text NOT NULL,
  actor      text NOT NULL,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  until      timestamptz NOT NULL);            -- after it nothing that this row revokes can be alive
CREATE INDEX IF NOT EXISTS revocations_until ON app.revocations (until);
CREATE TABLE IF NOT EXISTS app.revocation_receipts (
  revocation_id bigint NOT NULL REFERENCES app.revocations (id) ON DELETE CASCADE,
  server        text NOT NULL,
  sockets       int NOT NULL DEFAULT 0,
  ms            numeric,
  via           text NOT NULL DEFAULT '',
  at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (revocation_id, server));
-- Append-only. id, prev_hash and hash are set by a trigger: a chain without gaps, checked by app.audit_break(), a break of it is the id of the first wrong row.
CREATE TABLE IF NOT EXISTS app.audit (
  id        bigint PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor     text NOT NULL,
  action    text NOT NULL,
  subject   text NOT NULL DEFAULT '',
  ip        text NOT NULL DEFAULT '',
  outcome   text NOT NULL,
  detail    jsonb NOT NULL DEFAULT '{}',
  prev_hash bytea NOT NULL,
  hash      bytea NOT NULL);
CREATE INDEX IF NOT EXISTS audit_subject ON app.audit (subject, id DESC);
-- One row; null means: as the environment says.
CREATE TABLE IF NOT EXISTS app.rollout (
  only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version        bigint NOT NULL DEFAULT 0,
  enabled        boolean,
  percentage     numeric CHECK (percentage BETWEEN 0 AND 100),
  rollback       boolean,
  lockdown       boolean,
  legacy_enabled boolean,
  guard          jsonb NOT NULL DEFAULT '{}',  -- the automatic rollback's last decision
  reason         text NOT NULL DEFAULT '',
  actor          text NOT NULL DEFAULT '',
  at             timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS app.notices (
  id      uuid PRIMARY KEY,
  level   text NOT NULL CHECK (level IN ('info', 'warning', 'critical')),
  text    text NOT NULL,
  from_at timestamptz NOT NULL DEFAULT now(),
  until   timestamptz);

-- 4.2 What they own
CREATE TABLE IF NOT EXISTS app.portfolios (
  user_id       uuid NOT NULL REFERENCES app.users (id) ON DELETE CASCADE,
  id            uuid NOT NULL,
  name          text NOT NULL,
  base_currency text NOT NULL DEFAULT 'USD'      CHECK (base_currency ~ '^[A-Z]{3}$'),
  cost_method   text NOT NULL DEFAULT 'average'  CHECK (cost_method IN ('average', 'fifo')),
  costs         text NOT NULL DEFAULT 'included' CHECK (costs IN ('included', 'excluded')),
  version       bigint NOT NULL DEFAULT 1,       -- grows with every committed change of anything in the portfolio (trigger)
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, id));
CREATE TABLE IF NOT EXISTS app.accounts (
  user_id      uuid NOT NULL,
  id           uuid NOT NULL,
  portfolio_id uuid NOT NULL,
  name         text NOT NULL DEFAULT 'Main',
  currency     text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3}$'),
  cost_method  text CHECK (cost_method IN ('average', 'fifo')),   -- null: the portfolio's
  oversell     text NOT NULL DEFAULT 'reject' CHECK (oversell IN ('reject', 'short')),
  tracks_cash  boolean NOT NULL DEFAULT false,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, id),
  UNIQUE (user_id, portfolio_id, id),            -- lets a transaction's key say that its account is in its portfolio
  FOREIGN KEY (user_id, portfolio_id) REFERENCES app.portfolios (user_id, id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS app.imports (
  user_id      uuid NOT NULL,
  id           uuid NOT NULL,
  portfolio_id uuid NOT NULL,
  account_id   uuid NOT NULL,
  format       text NOT NULL,
  file_name    text NOT NULL DEFAULT '',
  file_hash    bytea,
  rows         int NOT NULL DEFAULT 0,
  added        int NOT NULL DEFAULT 0,
  duplicates   int NOT NULL DEFAULT 0,
  skipped      int NOT NULL DEFAULT 0,
  report       jsonb NOT NULL DEFAULT '{}',
  created_at   timestamptz NOT NULL DEFAULT now(),
  undone_at    timestamptz,
  PRIMARY KEY (user_id, id),
  FOREIGN KEY (user_id, portfolio_id, account_id) REFERENCES app.accounts (user_id, portfolio_id, id) ON DELETE CASCADE);
-- A row is never lost: an update leaves the old state in transaction_versions (trigger), a deletion sets deleted_at.
CREATE TABLE IF NOT EXISTS app.transactions (
  user_id      uuid NOT NULL,
  id           uuid NOT NULL,
  portfolio_id uuid NOT NULL,
  account_id   uuid NOT NULL,
  seq          bigint GENERATED BY DEFAULT AS IDENTITY,           -- order of entry
  type         text NOT NULL CHECK (type IN ('buy', 'sell', 'dividend', 'interest', 'fee', 'tax', 'deposit', 'withdrawal', 'transfer_in',
                                             'transfer_out', 'stock_dividend', 'return_of_capital', 'reward', 'adjustment')),
  symbol       text CHECK (symbol ~ '^[A-Z0-9._:=^/-]{1,32}$'),
  quantity     numeric CHECK (quantity > '-Infinity' AND quantity < 'Infinity' AND (quantity >= 0 OR type = 'adjustment')),
  price        numeric CHECK (price  >= 0 AND price  < 'Infinity'),
  amount       numeric CHECK (amount > '-Infinity' AND amount < 'Infinity' AND (amount >= 0 OR type = 'adjustment')),
  currency     text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  fee          numeric NOT NULL DEFAULT 0 CHECK (fee >= 0 AND fee < 'Infinity'),
  tax          numeric NOT NULL DEFAULT 0 CHECK (tax >= 0 AND tax < 'Infinity'),
  fx_rate      numeric CHECK (fx_rate > 0 AND fx_rate < 'Infinity'),  -- base units for one unit of currency
  executed_at  timestamptz NOT NULL,
  note         text NOT NULL DEFAULT '',
  external_id  text,                             -- "<source>:<the source's id>"
  import_id    uuid,
  pair_id      uuid,                             -- the other half of a transfer or of a reinvested dividend
  revision     int NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL DEFAULT now(),
  deleted_at   timestamptz,
  PRIMARY KEY (user_id, id),
  FOREIGN KEY (user_id, portfolio_id, account_id) REFERENCES app.accounts (user_id, portfolio_id, id) ON DELETE CASCADE,
  FOREIGN KEY (user_id, import_id) REFERENCES app.imports (user_id, id));
CREATE INDEX IF NOT EXISTS transactions_ledger ON app.transactions (user_id, portfolio_id, executed_at, seq);
CREATE INDEX IF NOT EXISTS transactions_chain  ON app.transactions (user_id, account_id, symbol, executed_at, seq);
CREATE INDEX IF NOT EXISTS transactions_import ON app.transactions (user_id, import_id) WHERE import_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS transactions_external ON app.transactions (user_id, account_id, external_id) WHERE external_id IS NOT NULL AND deleted_at IS NULL;
CREATE TABLE IF NOT EXISTS app.transaction_versions (
  user_id        uuid NOT NULL,
  transaction_id uuid NOT NULL,
  revision       int NOT NULL,
  portfolio_id   uuid NOT NULL,
  state          jsonb NOT NULL,                 -- the row as it was at this revision
  at             timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when it was replaced
  PRIMARY KEY (user_id, transaction_id, revision),
  FOREIGN KEY (user_id, portfolio_id) REFERENCES app.portfolios (user_id, id) ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS transaction_versions_portfolio ON app.transaction_versions (user_id, portfolio_id);
CREATE TABLE IF NOT EXISTS app.idempotency (
  user_id      uuid NOT NULL REFERENCES app.users (id) ON DELETE CASCADE,
  key          text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
  request_hash bytea NOT NULL,
  response     jsonb,
  at           timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, key));
CREATE INDEX IF NOT EXISTS idempotency_age ON app.idempotency (user_id, at);
-- Filled by a trigger with every new version; the relay deletes what it has published. A hint: it names rows, it holds none.
CREATE TABLE IF NOT EXISTS app.portfolio_outbox (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id      uuid NOT NULL,
  portfolio_id uuid NOT NULL,
  version      bigint NOT NULL,
  at           timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX IF NOT EXISTS portfolio_outbox_user ON app.portfolio_outbox (user_id);
CREATE TABLE IF NOT EXISTS app.import_templates (
  user_id    uuid NOT NULL REFERENCES app.users (id) ON DELETE CASCADE,
  id         uuid NOT NULL,
  name       text NOT NULL,
  mapping    jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, id));
CREATE TABLE IF NOT EXISTS app.watchlists (
  user_id    uuid NOT NULL REFERENCES app.users (id) ON DELETE CASCADE,
  id         uuid NOT NULL,
  name       text NOT NULL,
  position   int NOT NULL DEFAULT 0,
  symbols    text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, id));
CREATE TABLE IF NOT EXISTS app.alerts (
  user_id      uuid NOT NULL REFERENCES app.users (id) ON DELETE CASCADE,
  id           uuid NOT NULL,
  symbol       text NOT NULL CHECK (symbol ~ '^[A-Z0-9._:=^/-]{1,32}$'),
  kind         text NOT NULL CHECK (kind IN ('above', 'below', 'day_pct')),
  threshold    numeric NOT NULL CHECK (threshold > '-Infinity' AND threshold < 'Infinity'),
  once         boolean NOT NULL DEFAULT true,
  armed        boolean NOT NULL DEFAULT true,
  webhook      text,
  note         text NOT NULL DEFAULT '',
  created_at   timestamptz NOT NULL DEFAULT now(),
  fired_at     timestamptz,
  fired_price  numeric,
  delivered_at timestamptz,
  PRIMARY KEY (user_id, id));
-- Instruments and prices that only their owner sees.
CREATE TABLE IF NOT EXISTS app.user_instruments (
  user_id    uuid NOT NULL REFERENCES app.users (id) ON DELETE CASCADE,
  symbol     text NOT NULL CHECK (symbol ~ '^[A-Z0-9._:=^/-]{1,32}$'),
  name       text NOT NULL DEFAULT '',
  kind       text NOT NULL DEFAULT 'manual' CHECK (kind IN ('equity', 'etf', 'fund', 'bond', 'crypto', 'fx', 'index', 'manual')),
  currency   text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  multiplier numeric NOT NULL DEFAULT 1 CHECK (multiplier > 0 AND multiplier < 'Infinity'),
  isin       text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, symbol));
CREATE TABLE IF NOT EXISTS app.user_prices (
  user_id uuid NOT NULL,
  symbol  text NOT NULL,
  date    date NOT NULL,
  close   numeric NOT NULL CHECK (close > 0 AND close < 'Infinity'),
  PRIMARY KEY (user_id, symbol, date),
  FOREIGN KEY (user_id, symbol) REFERENCES app.user_instruments (user_id, symbol) ON DELETE CASCADE);

-- 4.3 What everybody may read
CREATE TABLE IF NOT EXISTS app.instruments (
  symbol         text PRIMARY KEY CHECK (symbol ~ '^[A-Z0-9._:=^/-]{1,32}$'),
  name           text NOT NULL DEFAULT '',
  kind           text NOT NULL CHECK (kind IN ('equity', 'etf', 'fund', 'bond', 'crypto', 'fx', 'index', 'manual')),
  currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  multiplier     numeric NOT NULL DEFAULT 1 CHECK (multiplier > 0 AND multiplier < 'Infinity'),
  isin           text,
  mic            text,
  calendar       text,
  price_adjusted boolean NOT NULL DEFAULT false);
CREATE TABLE IF NOT EXISTS app.splits (
  symbol  text NOT NULL REFERENCES app.instruments (symbol) ON DELETE CASCADE,
  ex_date date NOT NULL,
  n       bigint NOT NULL CHECK (n > 0),
  d       bigint NOT NULL CHECK (d > 0),
  PRIMARY KEY (symbol, ex_date));
CREATE TABLE IF NOT EXISTS app.closes (
  symbol text NOT NULL,
  date   date NOT NULL,
  close  numeric NOT NULL CHECK (close > 0 AND close < 'Infinity'),
  source text NOT NULL DEFAULT '',
  PRIMARY KEY (symbol, date));

-- 4.4 The old program's rows. Its tables users, portfolios and transactions, in schema public or app, are copied into ours, with their
-- own columns beside; the originals stay in schema app_legacy until app_private.end_legacy(). Where they were in public, views of the
-- same names take their place (section 7), so that the old program goes on reading and writing, now in our tables.
-- Only before our tables are protected: a database that was migrated once is never adopted again.
CREATE TABLE IF NOT EXISTS app_private.legacy (rel name PRIMARY KEY);     -- tables that the old program may use; none: there is no such program
CREATE TABLE IF NOT EXISTS app_private.legacy_column (
  rel name NOT NULL, pos int NOT NULL, old_name name NOT NULL, old_type text NOT NULL, old_default text,
  our_name name NOT NULL, reading text NOT NULL, -- our value from the old one, and the old one from ours; %s is the column
  showing text NOT NULL, PRIMARY KEY (rel, pos));
REVOKE ALL ON app_private.legacy, app_private.legacy_column FROM PUBLIC;
RESET ROLE;
DO $do$
DECLARE
  r record; c record; m record; src regclass; n bigint; k bigint; names text[]; exprs text[]; taken name[]; ours name; reading text; showing text;
BEGIN
  IF (SELECT relrowsecurity FROM pg_catalog.pg_class WHERE oid = 'app.users'::regclass) THEN RETURN; END IF;
  FOR r IN SELECT t.rel, t.ord FROM (VALUES ('users', 1), ('portfolios', 2), ('transactions', 3)) AS t(rel, ord) ORDER BY t.ord LOOP
    src := coalesce(to_regclass('app_legacy.' || r.rel), to_regclass('public.' || r.rel));
    IF src IS NULL OR (SELECT relkind FROM pg_catalog.pg_class WHERE oid = src) NOT IN ('r', 'p') THEN CONTINUE; END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', src);
    names := '{}'; exprs := '{}'; taken := '{}';
    -- Our columns and what they may be called there. How an old value is read, how ours is shown to the old program.
    FOR m IN SELECT * FROM (VALUES
        ('users', 'id', '{id,user_id}', true, '%s::text::uuid', '%s'), ('users', 'email', '{email,mail}', true, '%s::text', '%s'),
        ('users', 'display_name', '{display_name,name,full_name,username}', false, 'coalesce(%s::text, '''')', '%s'),
        ('users', 'base_currency', '{base_currency,currency,default_currency}', false, 'coalesce(upper(%s::text), ''USD'')', '%s'),
        ('users', 'created_at', '{created_at,created,joined_at}', false, 'coalesce(%s::timestamptz, now())', '%s'),
        ('portfolios', 'id', '{id}', true, '%s::text::uuid', '%s'), ('portfolios', 'user_id', '{user_id,owner_id}', true, '%s::text::uuid', '%s'),
        ('portfolios', 'name', '{name,title}', false, 'coalesce(%s::text, '''')', '%s'),
        ('portfolios', 'base_currency', '{base_currency,currency}', false, 'coalesce(upper(%s::text), ''USD'')', '%s'),
        ('portfolios', 'created_at', '{created_at,created}', false, 'coalesce(%s::timestamptz, now())', '%s'),
        ('transactions', 'id', '{id}', true, '%s::text::uuid', '%s'), ('transactions', 'portfolio_id', '{portfolio_id}', true, '%s::text::uuid', '%s'),
        ('transactions', 'type', '{type,transaction_type,side,kind}', true, 'lower(btrim(%s::text))', 'CASE'),
        ('transactions', 'symbol', '{symbol,ticker}', false, 'upper(btrim(%s::text))', '%s'),
        ('transactions', 'quantity', '{quantity,shares,units,qty}', false, 'abs(%s::numeric)', '%s'),
        ('transactions', 'price', '{price,unit_price,price_per_share,price_per_unit}', false, '%s::numeric', '%s'),
        ('transactions', 'fee', '{fee,fees,commission}', false, 'coalesce(%s::numeric, 0)', '%s'), ('transactions', 'tax', '{tax,taxes}', false, 'coalesce(%s::numeric, 0)', '%s'),
        ('transactions', 'currency', '{currency}', false, 'upper(%s::text)', '%s'),
        ('transactions', 'executed_at', '{executed_at,date,transaction_date,trade_date,traded_at,created_at}', true, 'TIME', 'TIME'),
        ('transactions', 'note', '{note,notes,comment}', false, 'coalesce(%s::text, '''')', 'nullif(%s, '''')'),
        ('transactions', 'created_at', '{created_at,created}', false, 'coalesce(%s::timestamptz, now())', '%s')
      ) AS v(rel, ours, candidates, needed, reading, showing) WHERE v.rel = r.rel
    LOOP
      SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS dflt, a.attnum INTO c
        FROM unnest(m.candidates::name[]) WITH ORDINALITY x(name, i) JOIN pg_catalog.pg_attribute a ON a.attrelid = src AND a.attname = x.name AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE a.attname <> ALL (taken) ORDER BY x.i LIMIT 1;
      IF NOT FOUND THEN
        IF m.needed THEN RAISE EXCEPTION 'the legacy table % has no column that could be our % (looked for %): rename it, or move its rows yourself', src, m.ours, m.candidates; END IF;
        CONTINUE;
      END IF;
      reading := m.reading; showing := m.showing;
      IF reading = 'TIME' THEN    -- a day, or a time without a zone, is taken as UTC
        reading := CASE WHEN c.type LIKE '%with time zone' THEN '%s' ELSE '(%s::timestamp AT TIME ZONE ''UTC'')' END;
        showing := CASE WHEN c.type LIKE '%with time zone' THEN '%s' ELSE '(%s AT TIME ZONE ''UTC'')' END;
      ELSIF showing = 'CASE' THEN -- BUY or buy: as most rows of it have it
        EXECUTE format('SELECT count(*) FILTER (WHERE %1$I::text = upper(%1$I::text)), count(*) FROM %2$s', c.attname, src) INTO k, n;
        showing := CASE WHEN 2 * k > n THEN 'upper(%s)' ELSE '%s' END;
      END IF;
      taken := taken || c.attname; names := names || format('%I', m.ours);
      exprs := exprs || format(reading, format('o.%I', c.attname));
      INSERT INTO app_private.legacy_column VALUES (r.rel, c.attnum, c.attname, c.type, c.dflt, m.ours, reading, showing);
    END LOOP;
    -- What is not ours is kept beside ours, under its own name where that is free.
    FOR c IN SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS dflt, a.attnum
               FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
              WHERE a.attrelid = src AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (taken) LOOP
      ours := CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute x WHERE x.attrelid = format('app.%I', r.rel)::regclass AND x.attname = c.attname) THEN 'legacy_' || c.attname ELSE c.attname END;
      EXECUTE format('ALTER TABLE app.%I ADD COLUMN IF NOT EXISTS %I %s', r.rel, ours, c.type);
      names := names || format('%I', ours); exprs := exprs || format('o.%I', c.attname);
      INSERT INTO app_private.legacy_column VALUES (r.rel, c.attnum, c.attname, c.type, c.dflt, ours, '%s', '%s');
      IF r.rel = 'users' AND c.attname = 'role' THEN
        names := names || '{role}'; exprs := exprs || '{CASE WHEN lower(o.role::text) LIKE ''%admin%'' THEN ''admin'' ELSE ''user'' END}'::text[];
      ELSIF r.rel = 'users' AND c.attname = 'status' THEN
        names := names || '{status}'; exprs := exprs || '{CASE WHEN lower(o.status::text) ~ ''disabl|inactive|bann|suspend|block|delet'' THEN ''disabled'' ELSE ''active'' END}'::text[];
      END IF;
    END LOOP;
    IF r.rel = 'transactions' THEN
      IF NOT '{currency}' <@ names THEN names := names || '{currency}'; exprs := exprs || '{p.base_currency}'; END IF;
      EXECUTE format($q$INSERT INTO app.transactions (user_id, account_id, %s) SELECT p.user_id, (SELECT a.id FROM app.accounts a WHERE a.user_id = p.user_id AND a.portfolio_id = p.id), %s
                          FROM %s o JOIN app.portfolios p ON p.id = o.%I::text::uuid ORDER BY %s, o.ctid$q$,
        array_to_string(names, ', '), array_to_string(exprs, ', '), src, (SELECT l.old_name FROM app_private.legacy_column l WHERE l.rel = r.rel AND l.our_name = 'portfolio_id'),
        exprs[array_position(names, 'executed_at')]);
    ELSE
      EXECUTE format('INSERT INTO app.%I (%s) SELECT %s FROM %s o', r.rel, array_to_string(names, ', '), array_to_string(exprs, ', '), src);
    END IF;
    GET DIAGNOSTICS k = ROW_COUNT;
    EXECUTE format('SELECT count(*) FROM %s', src) INTO n;
    IF k <> n THEN RAISE EXCEPTION 'adopting %: % rows became % (rows whose portfolio does not exist?)', src, n, k; END IF;
    IF r.rel = 'portfolios' THEN  -- every portfolio has an account
      INSERT INTO app.accounts (user_id, id, portfolio_id, currency) SELECT user_id, gen_random_uuid(), id, base_currency FROM app.portfolios;
    END IF;
    INSERT INTO app_private.legacy VALUES (r.rel) ON CONFLICT DO NOTHING;
    RAISE WARNING 'adopted % rows of %', k, src;
  END LOOP;
  IF EXISTS (SELECT FROM app_private.legacy WHERE rel = 'users') THEN
    SELECT l.old_name INTO c FROM app_private.legacy_column l WHERE l.rel = 'users' AND l.old_name IN ('password_hash', 'hashed_password', 'encrypted_password', 'password_digest') LIMIT 1;
    -- Only what is a hash by its form is taken over; two addresses that differ in case alone stay without a log-in of ours.
    EXECUTE format($q$INSERT INTO app.credentials (user_id, email_key, password_hash) SELECT id, lower(email), CASE WHEN %1$s ~ '^\$(2[aby]|argon2)' THEN %1$s END FROM app.users ON CONFLICT DO NOTHING$q$,
      CASE WHEN c.old_name IS NULL THEN 'NULL::text' ELSE format('%I', c.old_name) END);
  END IF;
  INSERT INTO app_private.legacy SELECT x FROM unnest('{credentials,accounts,portfolio_outbox,transaction_versions}'::name[]) x WHERE EXISTS (SELECT FROM app_private.legacy) ON CONFLICT DO NOTHING;
END $do$;
SET LOCAL ROLE app;

-- 5. Triggers --------------------------------------------------------------------------------------------------------------------
-- All run with the writer's own rights and policies: none can do what the writer may not.

-- 5.1 Every change of a portfolio gets a version, and every version is news, whoever wrote it (also psql).
CREATE OR REPLACE FUNCTION app_private.portfolio_next_version() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN NEW.version := OLD.version + 1; RETURN NEW; END $$;
CREATE OR REPLACE FUNCTION app_private.portfolio_news() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  INSERT INTO app.portfolio_outbox (user_id, portfolio_id, version)
  SELECT c.user_id, c.id, c.version + CASE TG_OP WHEN 'DELETE' THEN 1 ELSE 0 END FROM changed c;
  RETURN NULL;
END $$;
-- Takes the portfolio's row lock, so that versions are in the order of commits.
CREATE OR REPLACE FUNCTION app_private.portfolio_touch() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  UPDATE app.portfolios p SET version = version + 1
   WHERE (p.user_id, p.id) IN (SELECT c.user_id, c.portfolio_id FROM changed c);
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION app_private.portfolio_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF NEW.portfolio_id <> OLD.portfolio_id THEN RAISE EXCEPTION '% does not move to another portfolio', TG_TABLE_NAME USING ERRCODE = '23514'; END IF;
  RETURN NEW;
END $$;
-- 5.2 The past of a transaction
CREATE OR REPLACE FUNCTION app_private.transaction_next_revision() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN NEW.revision := OLD.revision + 1; NEW.seq := OLD.seq; RETURN NEW; END $$;
CREATE OR REPLACE FUNCTION app_private.transaction_keep() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  INSERT INTO app.transaction_versions (user_id, transaction_id, revision, portfolio_id, state)
  SELECT o.user_id, o.id, o.revision, o.portfolio_id, to_jsonb(o) FROM replaced o
   WHERE EXISTS (SELECT FROM app.portfolios p WHERE p.user_id = o.user_id AND p.id = o.portfolio_id);  -- else the portfolio goes as well
  RETURN NULL;
END $$;
-- 5.3 The audit chain: id without gaps and a hash over the row and the one before. Two writers at once would fork it: one waits.
CREATE OR REPLACE FUNCTION app.audit_hash(a app.audit) RETURNS bytea LANGUAGE sql IMMUTABLE SET search_path = '' AS $$
  SELECT sha256(a.prev_hash || convert_to(jsonb_build_array(a.id, (extract(epoch FROM a.at) * 1000000)::bigint, a.actor, a.action, a.subject, a.ip, a.outcome, a.detail)::text, 'UTF8'))
$$;
CREATE OR REPLACE FUNCTION app_private.audit_chain() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.audit', 0));
  SELECT a.id + 1, a.hash INTO NEW.id, NEW.prev_hash FROM app.audit a ORDER BY a.id DESC LIMIT 1;
  IF NOT FOUND THEN NEW.id := 1; NEW.prev_hash := sha256('rosetree.audit'); END IF;
  NEW.hash := app.audit_hash(NEW);
  RETURN NEW;
END $$;
-- The first row, of those from p_from on, at which the chain is broken, or null.
CREATE OR REPLACE FUNCTION app.audit_break(p_from bigint DEFAULT 1) RETURNS bigint LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT min(c.id) FROM (
    SELECT a.id, a.hash = app.audit_hash(a) AND a.id = greatest(p_from, 1) + row_number() OVER w - 1
             AND a.prev_hash = lag(a.hash, 1, CASE WHEN a.id = 1 THEN sha256('rosetree.audit') ELSE a.prev_hash END) OVER w AS whole
      FROM app.audit a WHERE a.id >= greatest(p_from, 1) WINDOW w AS (ORDER BY a.id)) c
   WHERE NOT c.whole
$$;
REVOKE ALL ON FUNCTION app.audit_hash(app.audit), app.audit_break(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit_hash(app.audit), app.audit_break(bigint) TO rosetree_api;
CREATE OR REPLACE FUNCTION app_private.append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501'; END $$;
CREATE OR REPLACE FUNCTION app_private.only_when_past() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF OLD.until > now() THEN RAISE EXCEPTION 'a revocation that still counts is not deleted' USING ERRCODE = '42501'; END IF;
  RETURN OLD;
END $$;
-- 5.4 Revocations and switches are heard at once, also when psql wrote them. The payload is a hint: listeners read the row.
CREATE OR REPLACE FUNCTION app_private.auth_news() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN PERFORM pg_notify('rt_auth', TG_TABLE_NAME); RETURN NULL; END $$;

CREATE OR REPLACE FUNCTION app_private.triggers_want() RETURNS TABLE (rel name, name name, moment text, level text, fn name)
LANGUAGE sql IMMUTABLE SET search_path = '' AS $$
  VALUES
    ('portfolios'::name, 'a_version'::name, 'BEFORE UPDATE', 'FOR EACH ROW', 'portfolio_next_version'::name),
    ('portfolios',   'news_insert',  'AFTER INSERT',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'portfolio_news'),
    ('portfolios',   'news_update',  'AFTER UPDATE',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'portfolio_news'),
    ('portfolios',   'news_delete',  'AFTER DELETE',  'REFERENCING OLD TABLE AS changed FOR EACH STATEMENT', 'portfolio_news'),
    ('accounts',     'stays',        'BEFORE UPDATE', 'FOR EACH ROW', 'portfolio_stays'),
    ('accounts',     'touch_insert', 'AFTER INSERT',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'portfolio_touch'),
    ('accounts',     'touch_update', 'AFTER UPDATE',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'portfolio_touch'),
    ('accounts',     'touch_delete', 'AFTER DELETE',  'REFERENCING OLD TABLE AS changed FOR EACH STATEMENT', 'portfolio_touch'),
    ('transactions', 'a_revision',   'BEFORE UPDATE', 'FOR EACH ROW', 'transaction_next_revision'),
    ('transactions', 'stays',        'BEFORE UPDATE', 'FOR EACH ROW', 'portfolio_stays'),
    ('transactions', 'keep_update',  'AFTER UPDATE',  'REFERENCING OLD TABLE AS replaced FOR EACH STATEMENT', 'transaction_keep'),
    ('transactions', 'keep_delete',  'AFTER DELETE',  'REFERENCING OLD TABLE AS replaced FOR EACH STATEMENT', 'transaction_keep'),
    ('transactions', 'touch_insert', 'AFTER INSERT',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'portfolio_touch'),
    ('transactions', 'touch_update', 'AFTER UPDATE',  'REFERENCING NEW TABLE AS changed FOR EACH STATEMENT', 'portfolio_touch'),
    ('transactions', 'touch_delete', 'AFTER DELETE',  'REFERENCING OLD TABLE AS changed FOR EACH STATEMENT', 'portfolio_touch'),
    ('audit',        'chain',        'BEFORE INSERT', 'FOR EACH ROW', 'audit_chain'),
    ('audit',        'append_only',  'BEFORE UPDATE OR DELETE OR TRUNCATE', 'FOR EACH STATEMENT', 'append_only'),
    ('revocations',  'append_only',  'BEFORE UPDATE OR TRUNCATE', 'FOR EACH STATEMENT', 'append_only'),
    ('revocations',  'past_only',    'BEFORE DELETE', 'FOR EACH ROW', 'only_when_past'),
    ('revocations',  'news',         'AFTER INSERT',  'FOR EACH STATEMENT', 'auth_news'),
    ('rollout',      'news',         'AFTER INSERT OR UPDATE OR DELETE', 'FOR EACH STATEMENT', 'auth_news')
$$;
DO $$
DECLARE t record;
BEGIN
  FOR t IN SELECT * FROM app_private.triggers_want()
  LOOP
    -- Made only where it is missing: CREATE TRIGGER locks the table against writers, and this file is run again on live servers.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = format('app.%I', t.rel)::regclass AND g.tgname = t.name
                     AND g.tgenabled = 'O' AND g.tgfoid = format('app_private.%I', t.fn)::regproc) THEN
      EXECUTE format('CREATE OR REPLACE TRIGGER %I %s ON app.%I %s EXECUTE FUNCTION app_private.%I()', t.name, t.moment, t.rel, t.level, t.fn);
      EXECUTE format('ALTER TABLE app.%I ENABLE TRIGGER %I', t.rel, t.name);
    END IF;
  END LOOP;
END $$;
-- Before its policies exist: afterwards even the owner may not, and a restore brings the row.
DO $$ BEGIN
  IF NOT (SELECT relrowsecurity FROM pg_catalog.pg_class WHERE oid = 'app.rollout'::regclass) THEN INSERT INTO app.rollout DEFAULT VALUES ON CONFLICT DO NOTHING; END IF;
END $$;

-- 6. Who may do what --------------------------------------------------------------------------------------------------------------
-- Two tables say it; grants, policies and the self-test follow from them.
CREATE TABLE IF NOT EXISTS app_private.rls_class (
  rel       name PRIMARY KEY,
  owner_col name,                                -- null: belongs to no user
  ord       int NOT NULL,                        -- fixtures are inserted in this order
  fixture   text NOT NULL);                      -- one row; %1$L is a user's id
CREATE TABLE IF NOT EXISTS app_private.rls_access (
  rel   name NOT NULL REFERENCES app_private.rls_class ON DELETE CASCADE,
  who   text NOT NULL CHECK (who IN ('owner', 'all', 'auth', 'feed', 'relay')),
  privs text[] NOT NULL CHECK (privs <@ ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] AND (who <> 'all' OR privs = '{SELECT}')),
  PRIMARY KEY (rel, who));
REVOKE ALL ON app_private.rls_class, app_private.rls_access FROM PUBLIC;

INSERT INTO app_private.rls_class (rel, owner_col, ord, fixture) VALUES
  ('users',                'id',      1, 'INSERT INTO app.users (id, email) VALUES (%1$L, %1$L || ''@rls.test'')'),
  ('credentials',          'user_id', 2, 'INSERT INTO app.credentials (user_id, email_key) VALUES (%1$L, %1$L)'),
  ('sessions',             'user_id', 2, 'INSERT INTO app.sessions (id, user_id, expires_at) VALUES (''rls-test-'' || %1$L, %1$L, now())'),
  ('revocations',          NULL,      2, 'INSERT INTO app.revocations (kind, subject, reason, actor, until) VALUES (''sid'', %1$L, ''self-test'', ''self-test'', ''infinity'')'),
  ('revocation_receipts',  NULL,      3, 'INSERT INTO app.revocation_receipts (revocation_id, server) SELECT max(id), %1$L FROM app.revocations'),
  ('audit',                NULL,      2, 'INSERT INTO app.audit (actor, action, outcome) VALUES (%1$L, ''self-test'', ''ok'')'),
  ('rollout',              NULL,      2, 'INSERT INTO app.rollout (reason) VALUES (%1$L) ON CONFLICT (only_row) DO UPDATE SET reason = excluded.reason'),
  ('notices',              NULL,      2, 'INSERT INTO app.notices (id, level, text) VALUES (%1$L, ''info'', ''self-test'')'),
  ('portfolios',           'user_id', 2, 'INSERT INTO app.portfolios (user_id, id, name) VALUES (%1$L, %1$L, ''self-test'')'),
  ('accounts',             'user_id', 3, 'INSERT INTO app.accounts (user_id, id, portfolio_id) VALUES (%1$L, %1$L, %1$L)'),
  ('imports',              'user_id', 4, 'INSERT INTO app.imports (user_id, id, portfolio_id, account_id, format) VALUES (%1$L, %1$L, %1$L, %1$L, ''self-test'')'),
  ('transactions',         'user_id', 5, 'INSERT INTO app.transactions (user_id, id, portfolio_id, account_id, type, currency, executed_at) VALUES (%1$L, %1$L, %1$L, %1$L, ''fee'', ''USD'', now())'),
  ('transaction_versions', 'user_id', 6, 'INSERT INTO app.transaction_versions (user_id, transaction_id, revision, portfolio_id, state) VALUES (%1$L, %1$L, -1, %1$L, ''{}'')'),
  ('idempotency',          'user_id', 2, 'INSERT INTO app.idempotency (user_id, key, request_hash) VALUES (%1$L, ''self-test'', '''')'),
  ('portfolio_outbox',     'user_id', 3, 'INSERT INTO app.portfolio_outbox (user_id, portfolio_id, version) VALUES (%1$L, %1$L, 1)'),
  ('import_templates',     'user_id', 2, 'INSERT INTO app.import_templates (user_id, id, name, mapping) VALUES (%1$L, %1$L, ''self-test'', ''{}'')'),
  ('watchlists',           'user_id', 2, 'INSERT INTO app.watchlists (user_id, id, name) VALUES (%1$L, %1$L, ''self-test'')'),
  ('alerts',               'user_id', 2, 'INSERT INTO app.alerts (user_id, id, symbol, kind, threshold) VALUES (%1$L, %1$L, ''RLS-TEST'', ''above'', 1)'),
  ('user_instruments',     'user_id', 2, 'INSERT INTO app.user_instruments (user_id, symbol, currency) VALUES (%1$L, ''RLS-TEST'', ''USD'')'),
  ('user_prices',          'user_id', 3, 'INSERT INTO app.user_prices (user_id, symbol, date, close) VALUES (%1$L, ''RLS-TEST'', ''2000-01-01'', 1)'),
  ('instruments',          NULL,      2, 'INSERT INTO app.instruments (symbol, kind, currency) VALUES (upper(left(%1$L, 32)), ''equity'', ''USD'')'),
  ('splits',               NULL,      3, 'INSERT INTO app.splits (symbol, ex_date, n, d) VALUES (upper(left(%1$L, 32)), ''2000-01-01'', 2, 1)'),
  ('closes',               NULL,      3, 'INSERT INTO app.closes (symbol, date, close) VALUES (upper(left(%1$L, 32)), ''2000-01-01'', 1)')
ON CONFLICT (rel) DO UPDATE SET owner_col = excluded.owner_col, ord = excluded.ord, fixture = excluded.fixture;

-- rel, owner, all, auth, feed, relay: S select, I insert, U update, D delete
WITH said (rel, owner, everybody, auth, feed, relay) AS (VALUES
  ('users',                'S',    '',  'SIUD', '',     ''),   -- role and status are in it: a user reads, the auth service writes
  ('credentials',          '',     '',  'SIUD', '',     ''),
  ('sessions',             'S',    '',  'SIUD', '',     ''),
  ('revocations',          '',     '',  'SID',  '',     ''),
  ('revocation_receipts',  '',     '',  'SIU',  '',     ''),
  ('audit',                '',     '',  'SI',   '',     ''),
  ('rollout',              '',     '',  'SIU',  '',     ''),
  ('notices',              '',     'S', 'SIUD', '',     ''),
  ('portfolios',           'SIUD', '',  '',     '',     ''),
  ('accounts',             'SIUD', '',  '',     '',     ''),
  ('imports',              'SIU',  '',  '',     '',     ''),
  ('transactions',         'SIU',  '',  '',     '',     ''),
  ('transaction_versions', 'SI',   '',  '',     '',     ''),
  ('idempotency',          'SIUD', '',  '',     '',     ''),
  ('portfolio_outbox',     'I',    '',  'I',    '',     'SD'), -- auth: deleting a user deletes portfolios, which is news too
  ('import_templates',     'SIUD', '',  '',     '',     ''),
  ('watchlists',           'SIUD', '',  '',     '',     ''),
  ('alerts',               'SIUD', '',  '',     'SU',   ''),   -- feed: alerts are checked on the tick, in memory, for everybody
  ('user_instruments',     'SIUD', '',  '',     '',     ''),
  ('user_prices',          'SIUD', '',  '',     '',     ''),
  ('instruments',          '',     'S', '',     'SIUD', ''),
  ('splits',               '',     'S', '',     'SIUD', ''),
  ('closes',               '',     'S', '',     'SIUD', '')),
spelt AS (
  SELECT s.rel::name, v.who, array_remove(ARRAY[CASE WHEN v.p ~ 'S' THEN 'SELECT' END, CASE WHEN v.p ~ 'I' THEN 'INSERT' END,
                                                CASE WHEN v.p ~ 'U' THEN 'UPDATE' END, CASE WHEN v.p ~ 'D' THEN 'DELETE' END], NULL) AS privs
    FROM said s CROSS JOIN LATERAL (VALUES ('owner', s.owner), ('all', s.everybody), ('auth', s.auth), ('feed', s.feed), ('relay', s.relay)) v(who, p)),
gone AS (DELETE FROM app_private.rls_access a USING spelt s WHERE a.rel = s.rel AND a.who = s.who AND s.privs = '{}')
INSERT INTO app_private.rls_access (rel, who, privs) SELECT rel, who, privs FROM spelt WHERE privs <> '{}'
ON CONFLICT (rel, who) DO UPDATE SET privs = excluded.privs;

-- The policies that follow from the two tables, in the form in which PostgreSQL prints them: protect() makes exactly these, the
-- self-test accepts exactly these. (SELECT …) makes each check run once per statement, not once per row. A restrictive floor
-- repeats every permissive policy, so that one added later can never widen it; the planner joins equal conditions into one.
CREATE OR REPLACE FUNCTION app_private.rls_want() RETURNS TABLE (rel name, name name, permissive text, role name, cmd text, qual text, with_check text)
LANGUAGE sql STABLE SET search_path = '' AS $$
  WITH allowed AS (
    SELECT c.rel, v.cmd, array_agg(CASE a.who WHEN 'owner' THEN format('(%I = ( SELECT app.uid() AS uid))', c.owner_col) WHEN 'all' THEN 'true'
                                    ELSE format('(( SELECT app.service() AS service) = %L::text)', a.who) END
                                    ORDER BY array_position(ARRAY['all', 'owner', 'auth', 'feed', 'relay'], a.who)) FILTER (WHERE a.who IS NOT NULL) AS e
      FROM app_private.rls_class c CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) v(cmd)
      LEFT JOIN app_private.rls_access a ON a.rel = c.rel AND v.cmd = ANY (a.privs)
     GROUP BY c.rel, v.cmd),
  expr AS (SELECT rel, cmd, e IS NOT NULL AS granted, CASE WHEN e IS NULL THEN 'false' WHEN e[1] = 'true' OR cardinality(e) = 1 THEN e[1] ELSE '(' || array_to_string(e, ' OR ') || ')' END AS e FROM allowed)
  SELECT x.rel, (k.prefix || lower(x.cmd))::name, k.kind, 'rosetree_api'::name, x.cmd,
         CASE WHEN x.cmd <> 'INSERT' THEN x.e END, CASE WHEN x.cmd IN ('INSERT', 'UPDATE') THEN x.e END
    FROM expr x CROSS JOIN (VALUES ('may_', 'PERMISSIVE'), ('floor_', 'RESTRICTIVE')) k(prefix, kind)
   WHERE x.granted OR k.kind = 'RESTRICTIVE'
  UNION ALL SELECT a.rel, 'feed_role', 'PERMISSIVE', 'rosetree_feed', 'ALL', 'true', 'true'
    FROM app_private.rls_access a JOIN app_private.rls_class c USING (rel) WHERE a.who = 'feed' AND c.owner_col IS NULL
  UNION ALL SELECT l.rel, 'legacy_role', 'PERMISSIVE', 'rosetree_legacy', 'ALL', 'true', 'true' FROM app_private.legacy l
$$;
CREATE OR REPLACE FUNCTION app_private.rls_have() RETURNS TABLE (rel name, name name, permissive text, role name, cmd text, qual text, with_check text)
LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT p.tablename, p.policyname, p.permissive, r.role, p.cmd, p.qual, p.with_check
    FROM pg_catalog.pg_policies p CROSS JOIN LATERAL unnest(p.roles) r(role) WHERE p.schemaname = 'app'
$$;
CREATE OR REPLACE FUNCTION app_private.grants_want() RETURNS TABLE (rel name, role name, priv text)
LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT DISTINCT a.rel, r.role::name, p FROM app_private.rls_access a CROSS JOIN LATERAL unnest(a.privs) p JOIN app_private.rls_class c USING (rel)
    CROSS JOIN LATERAL (VALUES ('rosetree_api', true), ('rosetree_feed', a.who = 'feed' AND c.owner_col IS NULL)) r(role, given) WHERE r.given
  UNION SELECT l.rel, 'rosetree_legacy', p FROM app_private.legacy l CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) v(p)
$$;
-- What anybody but the owner holds on our tables, on whole tables and on columns.
CREATE OR REPLACE FUNCTION app_private.grants_have() RETURNS TABLE (rel name, role name, priv text)
LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT DISTINCT c.relname, coalesce(r.rolname, 'public'), g.privilege_type
    FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL
    CROSS JOIN LATERAL (SELECT * FROM aclexplode(c.relacl) UNION ALL SELECT * FROM aclexplode(a.attacl)) g
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee
   WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND g.grantee <> c.relowner
$$;
-- Brings grants and policies to what is said. What is right already is not touched: policies need the strongest lock.
CREATE OR REPLACE FUNCTION app_private.protect() RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE t record; p record;
BEGIN
  FOR t IN SELECT c.rel FROM app_private.rls_class c JOIN pg_catalog.pg_class k ON k.oid = format('app.%I', c.rel)::regclass
            WHERE NOT (k.relrowsecurity AND k.relforcerowsecurity) LOOP
    EXECUTE format('ALTER TABLE app.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t.rel);
  END LOOP;
  FOR p IN SELECT DISTINCT x.rel, x.name FROM (SELECT * FROM app_private.rls_have() EXCEPT SELECT * FROM app_private.rls_want()) x LOOP
    EXECUTE format('DROP POLICY %I ON app.%I', p.name, p.rel);
  END LOOP;
  FOR p IN SELECT * FROM app_private.rls_want() EXCEPT SELECT * FROM app_private.rls_have() ORDER BY 1, 2 LOOP
    EXECUTE format('CREATE POLICY %I ON app.%I AS %s FOR %s TO %I %s %s', p.name, p.rel, p.permissive, p.cmd, p.role,
      'USING (' || p.qual || ')', 'WITH CHECK (' || p.with_check || ')');
  END LOOP;
  FOR t IN SELECT DISTINCT x.rel, x.role FROM (SELECT * FROM app_private.grants_have() EXCEPT SELECT * FROM app_private.grants_want()) x LOOP
    EXECUTE format('REVOKE ALL ON app.%I FROM %s', t.rel, CASE t.role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(t.role) END);
  END LOOP;
  FOR t IN SELECT x.rel, x.role, string_agg(x.priv, ', ') AS privs FROM (SELECT * FROM app_private.grants_want() EXCEPT SELECT * FROM app_private.grants_have()) x GROUP BY 1, 2 LOOP
    EXECUTE format('GRANT %s ON app.%I TO %I', t.privs, t.rel, t.role);
  END LOOP;
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA app_private FROM PUBLIC;
DO $$ BEGIN PERFORM app_private.protect(); END $$;

-- 7. The old program's door --------------------------------------------------------------------------------------------------------
-- Views with the old names, columns and types over our tables, for rosetree_legacy alone; the logins that had the old tables become its
-- members. Nothing here where nothing was adopted.
CREATE OR REPLACE FUNCTION app_private.legacy_main_account() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  INSERT INTO app.accounts (user_id, id, portfolio_id, currency) VALUES (NEW.user_id, gen_random_uuid(), NEW.id, NEW.base_currency);
  RETURN NULL;
END $$;
-- What the old tables let be null and ours do not.
CREATE OR REPLACE FUNCTION app_private.legacy_user_row() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN NEW.display_name := coalesce(NEW.display_name, ''); NEW.base_currency := upper(coalesce(NEW.base_currency, 'USD')); RETURN NEW; END $$;
CREATE OR REPLACE FUNCTION app_private.legacy_portfolio_row() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN NEW.name := coalesce(NEW.name, ''); NEW.base_currency := upper(coalesce(NEW.base_currency, 'USD')); RETURN NEW; END $$;
REVOKE ALL ON FUNCTION app_private.legacy_main_account(), app_private.legacy_user_row(), app_private.legacy_portfolio_row() FROM PUBLIC;
RESET ROLE;
DO $do$
DECLARE r record; l record; hash name; cols text; vals text; sets text; was regclass; tx record;
BEGIN
  IF NOT EXISTS (SELECT FROM app_private.legacy) OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = to_regclass('public.users') AND relkind = 'v') THEN RETURN; END IF;
  CREATE SCHEMA IF NOT EXISTS app_legacy AUTHORIZATION app;
  REVOKE ALL ON SCHEMA app_legacy FROM PUBLIC;
  GRANT USAGE ON SCHEMA app, public TO rosetree_legacy;
  FOR r IN SELECT DISTINCT c.rel FROM app_private.legacy_column c LOOP
    was := to_regclass('public.' || r.rel);
    IF was IS NULL THEN CONTINUE; END IF;      -- it was in schema app: nothing can stand in for it there
    FOR l IN SELECT DISTINCT o.rolname FROM pg_catalog.pg_class k CROSS JOIN LATERAL (SELECT k.relowner AS who UNION SELECT grantee FROM aclexplode(k.relacl)) g
               JOIN pg_catalog.pg_roles o ON o.oid = g.who WHERE k.oid = was AND NOT o.rolsuper AND o.rolname NOT LIKE 'rosetree\_%' AND o.rolname <> 'app' LOOP
      EXECUTE format('GRANT rosetree_legacy TO %I', l.rolname);
    END LOOP;
    -- Other tables of the old program that point to users go on doing so; users is the one whose key stays what it was.
    FOR l IN SELECT f.conrelid::regclass AS rel, f.conname, pg_get_constraintdef(f.oid) AS def FROM pg_catalog.pg_constraint f
              WHERE f.contype = 'f' AND f.confrelid = was AND f.conrelid NOT IN (SELECT to_regclass('public.' || x.rel) FROM app_private.legacy x WHERE to_regclass('public.' || x.rel) IS NOT NULL) LOOP
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', l.rel, l.conname);
      IF r.rel = 'users' THEN EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', l.rel, l.conname, regexp_replace(l.def, 'REFERENCES \S+\(', 'REFERENCES app.users('));
      ELSE RAISE WARNING 'the foreign key % of % is dropped: % now has a key of two columns', l.conname, l.rel, r.rel; END IF;
    END LOOP;
  END LOOP;
  FOR r IN SELECT DISTINCT c.rel FROM app_private.legacy_column c LOOP
    IF to_regclass('public.' || r.rel) IS NULL THEN CONTINUE; END IF;
    EXECUTE format('ALTER TABLE public.%I SET SCHEMA app_legacy', r.rel);
    EXECUTE format('REVOKE ALL ON app_legacy.%I FROM PUBLIC', r.rel);
    SELECT string_agg(format(CASE WHEN r.rel = 'transactions' THEN '(%s)::%s AS %I' ELSE '%1$s AS %3$I' END, format(c.showing, format('t.%I', c.our_name)), c.old_type, c.old_name), ', ' ORDER BY c.pos) INTO cols
      FROM app_private.legacy_column c WHERE c.rel = r.rel;
    EXECUTE format('CREATE VIEW public.%I WITH (security_invoker = true) AS SELECT %s FROM app.%I t %s', r.rel, cols, r.rel, CASE WHEN r.rel = 'transactions' THEN 'WHERE t.deleted_at IS NULL' END);
    FOR l IN SELECT c.old_name, c.old_default FROM app_private.legacy_column c WHERE c.rel = r.rel AND c.old_default IS NOT NULL AND c.old_default !~ 'nextval' LOOP
      EXECUTE format('ALTER VIEW public.%I ALTER COLUMN %I SET DEFAULT %s', r.rel, l.old_name, l.old_default);
    END LOOP;
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON public.%I TO rosetree_legacy', r.rel);
  END LOOP;
  -- The old program asks by id alone, where our keys begin with the user.
  CREATE INDEX IF NOT EXISTS portfolios_legacy_id ON app.portfolios (id);
  CREATE INDEX IF NOT EXISTS transactions_legacy_id ON app.transactions (id);
  CREATE INDEX IF NOT EXISTS transactions_legacy_portfolio ON app.transactions (portfolio_id);
  CREATE OR REPLACE TRIGGER legacy_row BEFORE INSERT OR UPDATE ON app.users FOR EACH ROW WHEN (current_user <> 'rosetree_api') EXECUTE FUNCTION app_private.legacy_user_row();
  CREATE OR REPLACE TRIGGER legacy_row BEFORE INSERT OR UPDATE ON app.portfolios FOR EACH ROW WHEN (current_user <> 'rosetree_api') EXECUTE FUNCTION app_private.legacy_portfolio_row();
  CREATE OR REPLACE TRIGGER legacy_account AFTER INSERT ON app.portfolios FOR EACH ROW WHEN (current_user <> 'rosetree_api') EXECUTE FUNCTION app_private.legacy_main_account();

  SELECT c.our_name INTO hash FROM app_private.legacy_column c WHERE c.rel = 'users' AND c.old_name IN ('password_hash', 'hashed_password', 'encrypted_password', 'password_digest') LIMIT 1;
  EXECUTE format($fn$CREATE OR REPLACE FUNCTION app_private.legacy_credentials() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $b$
BEGIN
  INSERT INTO app.credentials AS c (user_id, email_key, password_hash) VALUES (NEW.id, lower(NEW.email), %s)
  ON CONFLICT (user_id) DO UPDATE SET email_key = excluded.email_key, password_hash = coalesce(excluded.password_hash, c.password_hash), changed_at = now();
  RETURN NULL;
END $b$ $fn$, CASE WHEN hash IS NULL THEN 'NULL' ELSE format('CASE WHEN NEW.%1$I ~ ''^\$(2[aby]|argon2)'' THEN NEW.%1$I END', hash) END);
  CREATE OR REPLACE TRIGGER legacy_credentials_insert AFTER INSERT ON app.users FOR EACH ROW WHEN (current_user <> 'rosetree_api') EXECUTE FUNCTION app_private.legacy_credentials();
  EXECUTE format('CREATE OR REPLACE TRIGGER legacy_credentials_update AFTER UPDATE OF email%s ON app.users FOR EACH ROW WHEN (current_user <> ''rosetree_api'') EXECUTE FUNCTION app_private.legacy_credentials()', CASE WHEN hash IS NOT NULL THEN format(', %I', hash) END);
  ALTER FUNCTION app_private.legacy_credentials() OWNER TO app;
  REVOKE ALL ON FUNCTION app_private.legacy_credentials() FROM PUBLIC;

  IF to_regclass('public.transactions') IS NULL THEN RETURN; END IF;
  SELECT string_agg(format('%I', c.our_name), ', ' ORDER BY c.pos) AS cols, string_agg(format(c.reading, format('NEW.%I', c.old_name)), ', ' ORDER BY c.pos) AS vals,
         string_agg(format('%I = %s', c.our_name, format(c.reading, format('NEW.%I', c.old_name))), ', ' ORDER BY c.pos) FILTER (WHERE c.our_name NOT IN ('id', 'portfolio_id')) AS sets,
         max(c.old_name::text) FILTER (WHERE c.our_name = 'id') AS id, max(c.old_name::text) FILTER (WHERE c.our_name = 'portfolio_id') AS portfolio, bool_or(c.our_name = 'currency') AS has_currency
    INTO tx FROM app_private.legacy_column c WHERE c.rel = 'transactions';
  EXECUTE format($fn$CREATE OR REPLACE FUNCTION app_private.legacy_transactions() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $b$
DECLARE p record;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT f.user_id, f.base_currency, a.id AS account_id INTO p FROM app.portfolios f JOIN app.accounts a ON a.user_id = f.user_id AND a.portfolio_id = f.id WHERE f.id = NEW.%1$I ORDER BY a.created_at LIMIT 1;
    IF NOT FOUND THEN RAISE EXCEPTION 'there is no portfolio %%', NEW.%1$I USING ERRCODE = '23503'; END IF;
    INSERT INTO app.transactions (user_id, account_id, %2$s %3$s) VALUES (p.user_id, p.account_id, %4$s %5$s);
  ELSIF TG_OP = 'UPDATE' THEN
    UPDATE app.transactions t SET %6$s WHERE t.id = OLD.%7$I;
  ELSE
    UPDATE app.transactions t SET deleted_at = now() WHERE t.id = OLD.%7$I;
    RETURN OLD;
  END IF;
  RETURN NEW;
END $b$ $fn$, tx.portfolio, tx.cols, CASE WHEN NOT tx.has_currency THEN ', currency' END, tx.vals, CASE WHEN NOT tx.has_currency THEN ', p.base_currency' END, tx.sets, tx.id);
  ALTER FUNCTION app_private.legacy_transactions() OWNER TO app;
  REVOKE ALL ON FUNCTION app_private.legacy_transactions() FROM PUBLIC;
  CREATE OR REPLACE TRIGGER legacy_write INSTEAD OF INSERT OR UPDATE OR DELETE ON public.transactions FOR EACH ROW EXECUTE FUNCTION app_private.legacy_transactions();
END $do$;
-- The end of the migration: SELECT app_private.end_legacy(); by a superuser or whoever ran this file. The old tables' own columns stay.
CREATE OR REPLACE FUNCTION app_private.end_legacy() RETURNS text LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE r record;
BEGIN
  FOR r IN SELECT DISTINCT c.rel FROM app_private.legacy_column c JOIN pg_catalog.pg_class k ON k.oid = to_regclass('public.' || c.rel) AND k.relkind = 'v' LOOP
    EXECUTE format('DROP VIEW public.%I', r.rel);
  END LOOP;
  DROP TRIGGER IF EXISTS legacy_row ON app.users;
  DROP TRIGGER IF EXISTS legacy_row ON app.portfolios;
  DROP TRIGGER IF EXISTS legacy_account ON app.portfolios;
  DROP TRIGGER IF EXISTS legacy_credentials_insert ON app.users;
  DROP TRIGGER IF EXISTS legacy_credentials_update ON app.users;
  DROP FUNCTION IF EXISTS app_private.legacy_transactions(), app_private.legacy_credentials();
  DROP INDEX IF EXISTS app.portfolios_legacy_id, app.transactions_legacy_id, app.transactions_legacy_portfolio;
  DROP SCHEMA IF EXISTS app_legacy CASCADE;
  DELETE FROM app_private.legacy;
  PERFORM app_private.protect();
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rosetree_legacy') THEN
    DROP OWNED BY rosetree_legacy;
    BEGIN
      DROP ROLE rosetree_legacy;
    EXCEPTION WHEN dependent_objects_still_exist THEN RETURN 'ended here; rosetree_legacy stays, because another database of this cluster still uses it';
    END;
  END IF;
  RETURN 'ended; rosetree_legacy is gone';
END $$;
REVOKE ALL ON FUNCTION app_private.end_legacy() FROM PUBLIC;
SET LOCAL ROLE app;

-- 8. The self-test ---------------------------------------------------------------------------------------------------------------
-- Raises RT900 with everything that is wrong. It runs with the caller's rights on purpose: whoever calls it must own app_private, so
-- the runtime role cannot. Nothing survives: rows, keys, settings and role switches are undone by a sub-transaction.
CREATE OR REPLACE FUNCTION app_private.rls_catalog_faults() RETURNS SETOF text LANGUAGE sql STABLE SET search_path = '' AS $$
  WITH rt(name) AS (VALUES ('rosetree_api'), ('rosetree_feed')),
  tab AS (SELECT k.oid, k.relname, k.relrowsecurity, k.relforcerowsecurity, k.relispartition, c.rel, c.owner_col, att.attnum, att.attnotnull
            FROM pg_catalog.pg_class k LEFT JOIN app_private.rls_class c ON c.rel = k.relname
            LEFT JOIN pg_catalog.pg_attribute att ON att.attrelid = k.oid AND att.attname = c.owner_col
           WHERE k.relnamespace = 'app'::regnamespace AND k.relkind IN ('r', 'p')),
  callable(f) AS (VALUES ('app.uid()'), ('app.service()'), ('app.audit_hash(app.audit)'), ('app.audit_break(bigint)'))
  -- tables
  SELECT 'table not classified in app_private.rls_class: ' || relname FROM tab WHERE rel IS NULL AND NOT relispartition
  UNION ALL SELECT 'classified table does not exist: ' || c.rel FROM app_private.rls_class c WHERE NOT EXISTS (SELECT FROM tab WHERE tab.rel = c.rel)
  UNION ALL SELECT 'classified table without access rules: ' || c.rel FROM app_private.rls_class c WHERE NOT EXISTS (SELECT FROM app_private.rls_access a WHERE a.rel = c.rel)
  UNION ALL SELECT 'classified table without a fixture: ' || c.rel FROM app_private.rls_class c WHERE btrim(c.fixture) = ''
  UNION ALL SELECT 'row security not enabled and forced: ' || relname FROM tab WHERE NOT relispartition AND NOT (relrowsecurity AND relforcerowsecurity)
  UNION ALL SELECT format('%s has a column user_id but is classified as nobody''s', relname) FROM tab
     WHERE rel IS NOT NULL AND owner_col IS NULL AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = tab.oid AND a.attname = 'user_id' AND NOT a.attisdropped)
  UNION ALL SELECT format('owner column of %s is missing or nullable', relname) FROM tab WHERE owner_col IS NOT NULL AND attnotnull IS NOT TRUE
  UNION ALL SELECT format('owner column of %s does not lead a usable index', relname) FROM tab
     WHERE owner_col IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = tab.oid AND i.indkey[0] = tab.attnum AND i.indisvalid AND i.indpred IS NULL)
  UNION ALL SELECT format('unique index %s does not contain the owner column: it tells users about each other', i.indexrelid::regclass)
      FROM tab JOIN pg_catalog.pg_index i ON i.indrelid = tab.oid AND i.indisunique
     WHERE owner_col IS NOT NULL AND NOT attnum = ANY (i.indkey::int2[])
       AND EXISTS (SELECT FROM app_private.rls_access a WHERE a.rel = tab.rel AND a.who = 'owner' AND a.privs && ARRAY['INSERT', 'UPDATE'])
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = tab.oid AND i.indnkeyatts = 1 AND a.attnum = i.indkey[0] AND a.attidentity <> '') -- generated here, nobody can aim it
  UNION ALL SELECT format('foreign key %s between users'' tables does not carry the owner column', f.conname)
      FROM pg_catalog.pg_constraint f JOIN tab t ON t.oid = f.conrelid AND t.owner_col IS NOT NULL JOIN tab r ON r.oid = f.confrelid AND r.owner_col IS NOT NULL
     WHERE f.contype = 'f' AND NOT t.attnum = ANY (f.conkey)
  UNION ALL SELECT format('rule %s on %s', w.rulename, tab.relname) FROM tab JOIN pg_catalog.pg_rewrite w ON w.ev_class = tab.oid
  UNION ALL SELECT format('trigger %s on %s calls a function outside app_private', g.tgname, tab.relname) FROM tab JOIN pg_catalog.pg_trigger g ON g.tgrelid = tab.oid AND NOT g.tgisinternal
      JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid WHERE p.pronamespace <> 'app_private'::regnamespace
  UNION ALL SELECT format('trigger %s on %s is missing', w.name, w.rel) FROM app_private.triggers_want() w
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = to_regclass(format('app.%I', w.rel)) AND g.tgname = w.name AND g.tgfoid = to_regproc(format('app_private.%I', w.fn)))
  UNION ALL SELECT format('trigger %s on %s is disabled', g.tgname, tab.relname) FROM tab JOIN pg_catalog.pg_trigger g ON g.tgrelid = tab.oid WHERE g.tgenabled NOT IN ('O', 'A')
  -- policies and grants: exactly what is said
  UNION ALL SELECT format('policy %s on %s is not what the access rules say: %s FOR %s TO %s USING %s CHECK %s', h.name, h.rel, h.permissive, h.cmd, h.role, h.qual, h.with_check)
      FROM (SELECT * FROM app_private.rls_have() EXCEPT SELECT * FROM app_private.rls_want()) h
  UNION ALL SELECT format('policy %s on %s is missing or altered', w.name, w.rel) FROM (SELECT * FROM app_private.rls_want() EXCEPT SELECT * FROM app_private.rls_have()) w
  UNION ALL SELECT format('%s holds %s on app.%s, which the access rules do not say', h.role, h.priv, h.rel) FROM (SELECT * FROM app_private.grants_have() EXCEPT SELECT * FROM app_private.grants_want()) h
  UNION ALL SELECT format('%s lacks %s on app.%s', w.role, w.priv, w.rel) FROM (SELECT * FROM app_private.grants_want() EXCEPT SELECT * FROM app_private.grants_have()) w
  -- other ways in
  UNION ALL SELECT format('%s in app is reachable by %s without security_invoker: %s', CASE x.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END, rt.name, x.relname)
      FROM pg_catalog.pg_class x, rt WHERE x.relnamespace = 'app'::regnamespace AND x.relkind IN ('v', 'm', 'f') AND has_any_column_privilege(rt.name, x.oid, 'SELECT')
       AND NOT (x.relkind = 'v' AND coalesce(x.reloptions::text, '') ~* 'security_invoker=(true|on|yes|1)')
  UNION ALL SELECT format('%s can use %s outside app', rt.name, x.oid::regclass) FROM pg_catalog.pg_class x JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace, rt
     WHERE n.nspname NOT IN ('app', 'pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' AND x.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_schema_privilege(rt.name, n.oid, 'USAGE')
       AND (has_any_column_privilege(rt.name, x.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(rt.name, x.oid, 'DELETE'))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = x.oid AND d.deptype = 'e')
  UNION ALL SELECT format('%s can use sequence %s', rt.name, x.oid::regclass) FROM pg_catalog.pg_class x, rt
     WHERE x.relkind = 'S' AND x.relnamespace = 'app'::regnamespace AND has_sequence_privilege(rt.name, x.oid, 'USAGE, SELECT, UPDATE')
  UNION ALL SELECT format('function %s is callable by %s and not on the allow list', p.oid::regprocedure, rt.name) FROM pg_catalog.pg_proc p, rt
     WHERE (p.prosecdef OR p.pronamespace IN ('app'::regnamespace, 'app_private'::regnamespace)) AND p.pronamespace <> 'pg_catalog'::regnamespace
       AND has_function_privilege(rt.name, p.oid, 'EXECUTE') AND has_schema_privilege(rt.name, p.pronamespace, 'USAGE')
       AND NOT EXISTS (SELECT FROM callable WHERE rt.name = 'rosetree_api' AND to_regprocedure(callable.f) = p.oid)
  UNION ALL SELECT 'function without a pinned search_path: ' || p.oid::regprocedure FROM pg_catalog.pg_proc p
     WHERE p.pronamespace IN ('app'::regnamespace, 'app_private'::regnamespace) AND NOT EXISTS (SELECT FROM unnest(p.proconfig) g WHERE g LIKE 'search_path=%')
  UNION ALL SELECT format('%s must be SECURITY DEFINER STABLE and owned by app', p.oid::regprocedure) FROM pg_catalog.pg_proc p
     WHERE p.oid IN ('app.uid()'::regprocedure, 'app.service()'::regprocedure) AND NOT (p.prosecdef AND p.provolatile = 's' AND p.proowner = 'app'::regrole)
  UNION ALL SELECT 'SECURITY DEFINER function beside app.uid() and app.service(): ' || p.oid::regprocedure FROM pg_catalog.pg_proc p
     WHERE p.prosecdef AND p.pronamespace IN ('app'::regnamespace, 'app_private'::regnamespace) AND p.oid NOT IN ('app.uid()'::regprocedure, 'app.service()'::regprocedure)
  -- roles
  UNION ALL SELECT format('%s is or may become %s, which may do too much', rt.name, a.rolname) FROM rt, pg_catalog.pg_roles a
     WHERE (a.rolsuper OR a.rolbypassrls OR a.rolcreaterole OR a.rolcreatedb OR a.rolreplication) AND pg_has_role(rt.name, a.oid, 'member')
  UNION ALL SELECT format('%s is a member of %s', rt.name, a.rolname) FROM rt, pg_catalog.pg_roles a WHERE a.rolname <> rt.name AND pg_has_role(rt.name, a.oid, 'member')
  UNION ALL SELECT 'the owner role app may log in or bypass row security' FROM pg_catalog.pg_roles a WHERE a.rolname = 'app' AND (a.rolcanlogin OR a.rolsuper OR a.rolbypassrls)
  UNION ALL SELECT 'rosetree_legacy may bypass row security' FROM pg_catalog.pg_roles a WHERE a.rolname = 'rosetree_legacy' AND (a.rolsuper OR a.rolbypassrls)
  UNION ALL SELECT rt.name || ' can use app_private' FROM rt WHERE has_schema_privilege(rt.name, 'app_private', 'USAGE') OR has_schema_privilege(rt.name, 'app_private', 'CREATE')
  UNION ALL SELECT format('%s holds a privilege on app_private.%s', rt.name, x.relname) FROM rt, pg_catalog.pg_class x
     WHERE x.relnamespace = 'app_private'::regnamespace AND x.relkind = 'r' AND has_any_column_privilege(rt.name, x.oid, 'SELECT, INSERT, UPDATE')
  UNION ALL SELECT format('%s can create in schema %s', rt.name, s.nspname) FROM rt, pg_catalog.pg_namespace s WHERE has_schema_privilege(rt.name, s.oid, 'CREATE')
  UNION ALL SELECT rt.name || ' can create temporary tables or schemas' FROM rt WHERE has_database_privilege(rt.name, current_database(), 'TEMPORARY, CREATE')
  UNION ALL SELECT format('%s owns %s', rt.name, x.oid::regclass) FROM rt JOIN pg_catalog.pg_roles o ON o.rolname = rt.name JOIN pg_catalog.pg_class x ON x.relowner = o.oid
  UNION ALL SELECT format('schema or table of ours is not owned by app: %s', x.oid::regclass) FROM pg_catalog.pg_class x
     WHERE x.relnamespace IN ('app'::regnamespace, 'app_private'::regnamespace) AND x.relkind IN ('r', 'p', 'v', 'm', 'S') AND x.relowner <> 'app'::regrole
  UNION ALL SELECT 'an identity context or row_security is preset for a role or the database' FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c WHERE c ~* '^(rosetree\.ctx|row_security)='
$$;
REVOKE ALL ON FUNCTION app_private.rls_catalog_faults() FROM PUBLIC;

CREATE OR REPLACE FUNCTION app.test_rls_isolation() RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = '' AS $fn$
DECLARE
  rt   constant name := 'rosetree_api';
  ua   constant uuid := gen_random_uuid();
  ub   constant uuid := gen_random_uuid();
  nobody constant uuid := '00000000-0000-0000-0000-000000000000';
  key  constant bytea := sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'));
  kid  constant text := app_private.key_id(key);
  n int := 40; bad text[]; t record; c record; got text; k bigint; s text; tok jsonb; checks jsonb := '[]'; writer text; u uuid;
BEGIN
  bad := ARRAY(SELECT app_private.rls_catalog_faults());
  BEGIN
    PERFORM app_private.set_ctx_keys(ARRAY[key] || '{}'::bytea[]);
    tok := jsonb_build_object('a', app_private.mint_ctx(kid, 'u', ua), 'b', app_private.mint_ctx(kid, 'u', ub), 'unset', '', 'garbage', 'v1.a.b',
      'auth', app_private.mint_ctx(kid, 'auth', nobody), 'feed', app_private.mint_ctx(kid, 'feed', nobody), 'relay', app_private.mint_ctx(kid, 'relay', nobody),
      'expired', app_private.mint_ctx(kid, 'u', ua, -5), 'too long', app_private.mint_ctx(kid, 'u', ua, 4000), 'other connection', app_private.mint_ctx(kid, 'u', ua, 30, 1));
    tok := tok || jsonb_build_object('forged user', replace(tok->>'a', ua::text, ub::text), 'forged scope', replace(tok->>'a', '.u.', '.auth.'),
      'unknown key', replace(tok->>'a', '.' || kid || '.', '.1.'), 'no mac', left(tok->>'a', -64), 'longer mac', (tok->>'a') || '0', 'upper-case mac', left(tok->>'a', -64) || upper(right(tok->>'a', 64)) || ' ');

    -- Rows of both users, through the policies: by the owner, where the owner may insert, else by a service that may.
    FOR t IN SELECT q.rel, q.fixture, (SELECT a.who FROM app_private.rls_access a WHERE a.rel = q.rel AND 'INSERT' = ANY (a.privs) ORDER BY a.who <> 'owner', a.who LIMIT 1) AS inserter
               FROM app_private.rls_class q ORDER BY q.ord, q.rel LOOP
      PERFORM set_config('role', rt, true);
      FOREACH u IN ARRAY ARRAY[ua, ub] LOOP
        PERFORM set_config('rosetree.ctx', tok->>(CASE WHEN t.inserter <> 'owner' THEN t.inserter WHEN u = ua THEN 'a' ELSE 'b' END), true);
        EXECUTE format(t.fixture, u);
      END LOOP;
      PERFORM set_config('role', 'none', true);
    END LOOP;

    -- [name, context, statement, what must come]
    FOR t IN SELECT q.rel, q.owner_col AS c, q.fixture AS ins, att.attname AS col,
                    coalesce((SELECT a.privs FROM app_private.rls_access a WHERE a.rel = q.rel AND a.who = 'owner'), '{}') AS own,
                    EXISTS (SELECT FROM app_private.rls_access a WHERE a.rel = q.rel AND a.who = 'all') AS everybody
               FROM app_private.rls_class q JOIN LATERAL (
               SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = format('app.%I', q.rel)::regclass AND a.attnum > 0 AND a.attidentity = '' AND NOT a.attisdropped ORDER BY a.attnum LIMIT 1) att ON true LOOP
      IF t.c IS NOT NULL THEN
        checks := checks || jsonb_build_array(
          jsonb_build_array('own row is visible',          'a', format('SELECT FROM app.%I WHERE %I = %L', t.rel, t.c, ua), CASE WHEN 'SELECT' = ANY (t.own) THEN '^[1-9]\d* row' ELSE '^0 row' END),
          jsonb_build_array('only own rows are visible',   'a', format('SELECT FROM app.%I WHERE %I IS DISTINCT FROM %L', t.rel, t.c, ua), '^0 row'),
          jsonb_build_array('another''s row is invisible', 'a', format('SELECT FROM app.%I WHERE %I = %L', t.rel, t.c, ub), '^0 row'),
          jsonb_build_array('another''s row is not lockable', 'a', format('SELECT FROM app.%I WHERE %I = %L FOR UPDATE', t.rel, t.c, ub), '^(0 row|42501)'),
          jsonb_build_array('another''s row is not updatable', 'a', format('UPDATE app.%1$I SET %2$I = %2$I WHERE %2$I = %3$L', t.rel, t.c, ub), '^(0 row|42501)'),
          jsonb_build_array('another''s row is not deletable', 'a', format('DELETE FROM app.%I WHERE %I = %L', t.rel, t.c, ub), '^(0 row|42501)'),
          jsonb_build_array('no row for another',          'a', format(t.ins, gen_random_uuid()), '^42501'),
          jsonb_build_array('a row is not given away',     'a', format('UPDATE app.%I SET %I = %L WHERE %I = %L', t.rel, t.c, ub, t.c, ua), CASE WHEN 'UPDATE' = ANY (t.own) THEN '^42501' ELSE '^(42501|0 row)' END),
          jsonb_build_array('no upsert on another''s key', 'a', format(t.ins, ub) || ' ON CONFLICT DO NOTHING', '^42501'));
        IF 'UPDATE' = ANY (t.own) THEN
          checks := checks || jsonb_build_array(jsonb_build_array('own row is updatable', 'a', format('UPDATE app.%1$I SET %2$I = %2$I WHERE %2$I = %3$L', t.rel, t.c, ua), '^[1-9]'));
        END IF;
        FOREACH s IN ARRAY ARRAY['forged user', 'forged scope', 'unknown key', 'garbage', 'no mac', 'longer mac', 'upper-case mac'] LOOP
          checks := checks || jsonb_build_array(jsonb_build_array(s, s, format('SELECT FROM app.%I', t.rel), '^RT001'));
        END LOOP;
        checks := checks || jsonb_build_array(
          jsonb_build_array('re-bind inside one statement', 'a', format('SELECT h.* FROM (SELECT set_config(''rosetree.ctx'', %L, true) OFFSET 0) s CROSS JOIN LATERAL (SELECT FROM app.%I OFFSET 0) h', tok->>'forged user', t.rel), '^RT001'),
          jsonb_build_array('clear inside one statement',   'a', format('SELECT h.* FROM (SELECT set_config(''rosetree.ctx'', '''', true) OFFSET 0) s CROSS JOIN LATERAL (SELECT FROM app.%I OFFSET 0) h', t.rel), '^0 row'));
      ELSE
        checks := checks || jsonb_build_array(
          jsonb_build_array('a user sees what everybody may', 'a', format('SELECT FROM app.%I LIMIT 1', t.rel), CASE WHEN t.everybody THEN '^[1-9]' ELSE '^0 row' END));
        FOREACH s IN ARRAY ARRAY['a', 'unset'] LOOP
          checks := checks || jsonb_build_array(
            jsonb_build_array('nobody but a service inserts', s, format(t.ins, gen_random_uuid()), '^42501'),
            jsonb_build_array('nobody but a service updates', s, format('UPDATE app.%1$I SET %2$I = %2$I', t.rel, t.col), '^(0 row|42501)'),
            jsonb_build_array('nobody but a service deletes', s, format('DELETE FROM app.%I', t.rel), '^(0 row|42501)'));
        END LOOP;
      END IF;
      checks := checks || jsonb_build_array(
        jsonb_build_array('unset sees nothing of users',  'unset', format('SELECT FROM app.%I LIMIT 1', t.rel), CASE WHEN t.everybody THEN '^[1-9]' ELSE '^0 row' END),
        jsonb_build_array('unset cannot insert',          'unset', format(t.ins, gen_random_uuid()), '^42501'),
        jsonb_build_array('row_security=off is refused',  'a', format('SELECT query_to_xml(%L, true, false, '''') FROM (SELECT set_config(''row_security'', ''off'', true) OFFSET 0) s', format('SELECT * FROM app.%I LIMIT 1', t.rel)), CASE WHEN t.everybody THEN '' ELSE '^42501' END),
        jsonb_build_array('truncate is refused',          'auth', format('TRUNCATE app.%I CASCADE', t.rel), '^42501'));
      IF NOT t.everybody THEN
        checks := checks || jsonb_build_array(
          jsonb_build_array('expired context',            'expired', format('SELECT FROM app.%I', t.rel), '^RT002'),
          jsonb_build_array('context of too long a life', 'too long', format('SELECT FROM app.%I', t.rel), '^RT002'),
          jsonb_build_array('another connection''s context', 'other connection', format('SELECT FROM app.%I', t.rel), '^RT003'));
      END IF;
      FOREACH s IN ARRAY ARRAY['auth', 'feed', 'relay'] LOOP
        writer := (SELECT array_to_string(a.privs, ' ') FROM app_private.rls_access a WHERE a.rel = t.rel AND a.who = s);
        checks := checks || jsonb_build_array(
          jsonb_build_array('service ' || s || ' reads what it may', s, format('SELECT FROM app.%I LIMIT 1', t.rel), CASE WHEN t.everybody OR writer ~ 'SELECT' THEN '^[1-9]' ELSE '^0 row' END));
        IF writer IS NULL OR writer !~ 'INSERT' THEN checks := checks || jsonb_build_array(jsonb_build_array('service ' || s || ' inserts only what it may', s, format(t.ins, gen_random_uuid()), '^42501')); END IF;
        IF writer IS NULL OR writer !~ 'UPDATE' THEN checks := checks || jsonb_build_array(jsonb_build_array('service ' || s || ' updates only what it may', s, format('UPDATE app.%1$I SET %2$I = %2$I', t.rel, t.col), '^(0 row|42501)')); END IF;
        IF writer IS NULL OR writer !~ 'DELETE' THEN checks := checks || jsonb_build_array(jsonb_build_array('service ' || s || ' deletes only what it may', s, format('DELETE FROM app.%I', t.rel), '^(0 row|42501)')); END IF;
      END LOOP;
      checks := (SELECT coalesce(jsonb_agg(CASE WHEN e->>0 LIKE '%: %' THEN e ELSE jsonb_set(e, '{0}', to_jsonb(t.rel || ': ' || (e->>0))) END), '[]') FROM jsonb_array_elements(checks) e);
    END LOOP;
    checks := checks || jsonb_build_array(
      jsonb_build_array('the key table is unreadable',      'auth', 'SELECT FROM app_private.ctx_key', '^42501'),
      jsonb_build_array('no signing oracle',                'auth', format('SELECT app_private.mint_ctx(%L, ''u'', %L)', kid, ub), '^42501'),
      jsonb_build_array('no temporary tables',              'a', 'CREATE TEMP TABLE x ()', '^42501'),
      jsonb_build_array('a user''s context is no service',  'a', 'SELECT WHERE app.service() IS NULL', '^1 row'),
      jsonb_build_array('a service''s context is no user',  'auth', 'SELECT WHERE app.uid() IS NULL AND app.service() = ''auth''', '^1 row'),
      jsonb_build_array('uid() is the user',                'a', format('SELECT WHERE app.uid() = %L', ua), '^1 row'),
      jsonb_build_array('!audit is append-only',            'app', 'UPDATE app.audit SET actor = actor', '^42501 audit is append-only'),
      jsonb_build_array('!audit cannot be emptied',         'app', 'TRUNCATE app.audit', '^42501 audit is append-only'),
      jsonb_build_array('!revocations are append-only',     'app', 'UPDATE app.revocations SET actor = actor', '^42501 revocations is append-only'),
      jsonb_build_array('a revocation that counts stays',   'auth', 'DELETE FROM app.revocations WHERE until = ''infinity''', '^42501'),
      jsonb_build_array('the audit chain is whole',         'auth', 'SELECT WHERE app.audit_break((SELECT max(id) - 99 FROM app.audit)) IS NULL', '^1 row'),
      jsonb_build_array('a change of a portfolio is news',  'relay', format('SELECT FROM app.portfolio_outbox WHERE user_id = %L AND version > 2', ua), '^[1-9]'),
      jsonb_build_array('a version only grows',  'a', format('WITH w AS (UPDATE app.portfolios SET version = -9 WHERE id = %L RETURNING version) SELECT FROM w WHERE version > 1', ua), '^1 row'));

    FOR c IN SELECT e->>0 AS name, e->>1 AS ctx, e->>2 AS sql, e->>3 AS want FROM jsonb_array_elements(checks) e LOOP
      BEGIN
        IF c.ctx = 'app' THEN PERFORM set_config('role', 'app', true);
        ELSE PERFORM set_config('role', rt, true), set_config('rosetree.ctx', tok->>c.ctx, true); END IF;
        EXECUTE c.sql; GET DIAGNOSTICS k = ROW_COUNT; got := k || ' row(s)';
        RAISE EXCEPTION USING ERRCODE = 'RT0OK', MESSAGE = got;          -- undo this check
      EXCEPTION WHEN SQLSTATE 'RT0OK' THEN NULL; WHEN OTHERS THEN got := SQLSTATE || ' ' || SQLERRM;
      END;
      n := n + 1;
      IF got !~ c.want THEN bad := bad || format('%s: got "%s", want %s', c.name, got, c.want); END IF;
    END LOOP;
    RAISE EXCEPTION USING ERRCODE = 'RT0OK', MESSAGE = 'undo';
  EXCEPTION WHEN SQLSTATE 'RT0OK' THEN NULL;
    WHEN OTHERS THEN bad := bad || format('set-up failed: %s %s', SQLSTATE, SQLERRM);
  END;
  IF cardinality(bad) > 0 THEN
    RAISE EXCEPTION E'row level security self-test FAILED (% of % checks):\n  %', cardinality(bad), n, array_to_string(bad, E'\n  ') USING ERRCODE = 'RT900';
  END IF;
  RETURN format('ok: %s checks, %s tables', n, (SELECT count(*) FROM app_private.rls_class));
END $fn$;
REVOKE ALL ON FUNCTION app.test_rls_isolation() FROM PUBLIC;
RESET ROLE;
COMMIT;
