package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// functionsRecord is the row of schema_migration that holds the fingerprint of our functions. It is no file's name.
const functionsRecord = "(functions)"

// fingerprint is of everything in a function that decides what it does and with whose rights.
const fingerprint = `select coalesce(encode(sha256(convert_to(string_agg(f.text, '' order by f.text collate "C"), 'UTF8')), 'hex'), '') from (
	select concat_ws(' ', n.nspname, p.proname, p.pronargs, p.provolatile, p.prosecdef, p.proconfig, p.prosrc) as text
	from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname in ('app', 'app_private')) f`

func recordFunctions(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `insert into app_private.schema_migration (name, sha256) values ($1, (`+fingerprint+`))
		on conflict (name) do update set sha256 = excluded.sha256, applied_at = now()`, functionsRecord)
	if err != nil {
		return fmt.Errorf("migrations: record the functions: %w", err)
	}
	return nil
}

// functionsAsRecorded is also true where nothing is recorded: a database that an older release migrated.
func functionsAsRecorded(ctx context.Context, conn *pgx.Conn) (same bool, err error) {
	err = conn.QueryRow(ctx, `select sha256 = (`+fingerprint+`) from app_private.schema_migration where name = $1`, functionsRecord).Scan(&same)
	if errors.Is(err, pgx.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("migrations: compare the functions: %w", err)
	}
	return same, nil
}
