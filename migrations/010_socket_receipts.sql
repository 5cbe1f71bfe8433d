\set ON_ERROR_STOP 1
-- When each socket of a revocation was closed, not only the last of a server. Like 001: one transaction, to be run again at any time.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.migrations', 0)); END $$;
SET LOCAL lock_timeout = '3s';
SET LOCAL ROLE app;

ALTER TABLE app.revocation_receipts ADD COLUMN IF NOT EXISTS socket_ms float8[] NOT NULL DEFAULT '{}';
RESET ROLE;
COMMIT;
