\set ON_ERROR_STOP 1
-- The secrets of users' webhooks, sealed: neither the database nor a dump of it shows them. Like 001: one transaction, to be run
-- again at any time.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.migrations', 0)); END $$;
SET LOCAL lock_timeout = '3s';
SET LOCAL ROLE app;

-- Only the servers can seal, so this file moves nothing: they do, some minutes after they were started, and empty webhook_secret.
-- Servers of the release before this one go on reading and writing webhook_secret. Where both are given, that one is newer.
ALTER TABLE app.alerts ADD COLUMN IF NOT EXISTS webhook_sealed bytea;
CREATE INDEX IF NOT EXISTS alerts_secret ON app.alerts (user_id, id) WHERE webhook_secret IS NOT NULL OR webhook_sealed IS NOT NULL;

-- Another seal is no other alert: servers that watch it need not read it again, and it can fire meanwhile.
CREATE OR REPLACE FUNCTION app_private.alert_next_revision() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF (NEW.webhook_secret, NEW.webhook_sealed) IS DISTINCT FROM (OLD.webhook_secret, OLD.webhook_sealed)
     AND to_jsonb(NEW) - '{webhook_secret,webhook_sealed}'::text[] = to_jsonb(OLD) - '{webhook_secret,webhook_sealed}'::text[] THEN
    RETURN NEW;
  END IF;
  NEW.revision := OLD.revision + 1;
  NEW.changed_at := clock_timestamp();
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION app_private.alert_next_revision() FROM PUBLIC;
RESET ROLE;
COMMIT;
