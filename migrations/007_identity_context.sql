\set ON_ERROR_STOP 1
-- The identity context is verified with fewer steps: what 001 checks, in one statement. Like 001: one transaction, to be run again at
-- any time; 001 run alone afterwards puts its own, slower text back, which asks the same.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('rosetree.migrations', 0)); END $$;
SET LOCAL lock_timeout = '3s';
SET LOCAL ROLE app;

-- PL/pgSQL prepares each expression anew in every transaction, and OpenSSL takes over a microsecond for each digest: so one expression
-- instead of nine, and the two digests of HMAC instead of five. left(tok, -65) is what was signed, right(tok, 65) the point and the MAC:
-- together the whole token, so that nothing in it can be changed.
-- A comparison of texts takes longer the longer they agree. It is reached only where a 64-bit hash of both agrees already, and numbers
-- are compared in one time: whoever measures refusals learns nothing of the right MAC.
-- Nothing of a token is cast where the planner could see its text: it would do so before anything is verified, and fail in its own words.
-- OFFSET 0 keeps until out of its sight.
-- A context counts from five minutes before its end to one second after it (clocks differ): 149.5 seconds before it, give or take 150.5.
DO $do$
DECLARE f record;
BEGIN
  FOR f IN SELECT * FROM (VALUES ('uid',     'uuid', 'CASE split_part(tok, ''.'', 3) WHEN ''u'' THEN split_part(tok, ''.'', 4) END'),
                                 ('service', 'text', 'nullif(split_part(tok, ''.'', 3), ''u'')')) AS v(name, type, answer)
  LOOP
    EXECUTE format($create$
CREATE OR REPLACE FUNCTION app.%1$I() RETURNS %2$s
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER COST 1000 SET search_path = '' AS $fn$
DECLARE
  tok text := current_setting('rosetree.ctx', true);
  fault text; who text;
BEGIN
  SELECT CASE WHEN hashtextextended(m.mac, 0) <> hashtextextended(right(tok, 65), 0) OR m.mac <> right(tok, 65) THEN 'RT001'
              WHEN abs(m.until::float8 - date_part('epoch', statement_timestamp() + '149.5 s')) > 150.5 THEN 'RT002'
              WHEN split_part(tok, '.', 6) <> pg_backend_pid()::text AND split_part(tok, '.', 6) <> '0' THEN 'RT003' END, %3$s
    INTO fault, who
    FROM (SELECT '.' || encode(sha256(k.opad || sha256(k.ipad || convert_to(concat('rosetree.ctx|', current_database(), '|', session_user, '|', left(tok, -65)), 'UTF8'))), 'hex') AS mac, split_part(tok, '.', 5) AS until
            FROM app_private.ctx_key k
           WHERE k.kid = split_part(tok, '.', 2) AND k.not_after > statement_timestamp() AND octet_length(tok) <= 200 OFFSET 0) m;
  IF FOUND AND fault IS NULL THEN RETURN who; END IF;
  IF tok IS NULL OR tok = '' THEN RETURN NULL; END IF;
  RAISE EXCEPTION 'identity context %%', CASE fault WHEN 'RT002' THEN 'expired' WHEN 'RT003' THEN 'bound to another connection' ELSE 'rejected' END
    USING ERRCODE = coalesce(fault, 'RT001');
END $fn$ $create$, f.name, f.type, f.answer);
  END LOOP;
END $do$;
RESET ROLE;
COMMIT;
