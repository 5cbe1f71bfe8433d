\set ON_ERROR_STOP 1
-- A password that was changed here stays changed while the old program still runs: 001 wrote the old program's hash back with every
-- change of an e-mail address, and left the old password good for a log-in there. Like 001: one transaction, to be run again at any
-- time. Nothing here where no old program writes, or where it keeps no password.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.migrations', 0)); END $$;
SET LOCAL lock_timeout = '3s';
SET LOCAL ROLE app;
DO $do$
DECLARE hash name;
BEGIN
  SELECT c.our_name INTO hash FROM app_private.legacy_column c WHERE c.rel = 'users' AND c.old_name IN ('password_hash', 'hashed_password', 'encrypted_password', 'password_digest') LIMIT 1;
  IF hash IS NULL OR to_regprocedure('app_private.legacy_credentials()') IS NULL THEN RETURN; END IF;

  -- Of the old program: only a hash that it did not have before is a new password. (Of an INSERT, OLD is null.)
  EXECUTE format($fn$CREATE OR REPLACE FUNCTION app_private.legacy_credentials() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $b$
BEGIN
  INSERT INTO app.credentials AS c (user_id, email_key, password_hash)
  VALUES (NEW.id, lower(NEW.email), CASE WHEN NEW.%1$I IS DISTINCT FROM OLD.%1$I AND NEW.%1$I ~ '^\$(2[aby]|argon2)' THEN NEW.%1$I END)
  ON CONFLICT (user_id) DO UPDATE SET email_key = excluded.email_key, password_hash = coalesce(excluded.password_hash, c.password_hash),
    changed_at = CASE WHEN excluded.password_hash IS NULL THEN c.changed_at ELSE now() END;
  RETURN NULL;
END $b$ $fn$, hash);

  -- Of ours: the old program gets what no password matches. It could not verify our hash, and needs not know it. A hash that is made
  -- anew of the same password (changed_at stays) leaves the old one good.
  EXECUTE format($fn$CREATE OR REPLACE FUNCTION app_private.legacy_password() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $b$
BEGIN
  UPDATE app.users u SET %I = '!' WHERE u.id = NEW.user_id;
  RETURN NULL;
END $b$ $fn$, hash);
  REVOKE ALL ON FUNCTION app_private.legacy_password() FROM PUBLIC;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = 'app.credentials'::regclass AND tgname = 'legacy_password' AND tgenabled = 'O') THEN
    CREATE OR REPLACE TRIGGER legacy_password AFTER UPDATE OF password_hash ON app.credentials FOR EACH ROW
      WHEN (current_user = 'rosetree_api' AND NEW.changed_at <> OLD.changed_at) EXECUTE FUNCTION app_private.legacy_password();
    ALTER TABLE app.credentials ENABLE TRIGGER legacy_password;
  END IF;
END $do$;
RESET ROLE;
-- 001's end of the migration does not know of them. It belongs to whoever ran 001.
DO $do$
DECLARE ending text := pg_get_functiondef('app_private.end_legacy()'::regprocedure);
BEGIN
  IF strpos(ending, 'legacy_password') = 0 THEN
    EXECUTE replace(ending, 'DROP TRIGGER IF EXISTS legacy_credentials_insert',
      E'DROP TRIGGER IF EXISTS legacy_password ON app.credentials;\n  DROP FUNCTION IF EXISTS app_private.legacy_password();\n  DROP TRIGGER IF EXISTS legacy_credentials_insert');
  END IF;
END $do$;
COMMIT;
