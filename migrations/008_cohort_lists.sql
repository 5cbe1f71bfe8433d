\set ON_ERROR_STOP 1
-- Users who are always, and who are never, given a session, whatever the rollout's percentage. Like 001: one transaction, to be run
-- again at any time.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.migrations', 0)); END $$;
SET LOCAL lock_timeout = '3s';
SET LOCAL ROLE app;

ALTER TABLE app.rollout ADD COLUMN IF NOT EXISTS always_users uuid[] NOT NULL DEFAULT '{}';
ALTER TABLE app.rollout ADD COLUMN IF NOT EXISTS never_users  uuid[] NOT NULL DEFAULT '{}';
RESET ROLE;
COMMIT;
