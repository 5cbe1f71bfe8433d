package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"rosetree/auth"
	"rosetree/migrations"
)

// migrateSettings are what a migration needs of the environment.
type migrateSettings struct {
	Runtime auth.Secret    `env:"DATABASE_URL,required" secret:"true" doc:"PostgreSQL, as the unprivileged application role"`
	Owner   auth.Secret    `env:"MIGRATE_DATABASE_URL" secret:"true" doc:"PostgreSQL, as the owner: used by 'rosetree migrate' alone; unset: DATABASE_URL"`
	Secret  auth.SecretKey `env:"SECRET_KEY" secret:"true" doc:"one or more secrets of at least 32 bytes in hex or base64, comma-separated"`
}

func (s migrateSettings) owner() string { return string(cmp.Or(s.Owner, s.Runtime)) }

func newMigrate() *cobra.Command {
	migrate := &cobra.Command{
		Use:   "migrate [up|status|verify]",
		Short: "Bring the database to this program's schema, as the owner (MIGRATE_DATABASE_URL)",
		Args:  cobra.NoArgs,
		RunE:  migrateUp,
	}
	answersJSON(migrate)
	migrate.AddCommand(
		&cobra.Command{Use: "up", Short: "Apply what is missing, install the context keys, run the self-test (also: repair after a restore)", Args: cobra.NoArgs, RunE: migrateUp},
		&cobra.Command{Use: "status", Short: "Say which files are applied", Args: cobra.NoArgs, RunE: migrateStatus},
		&cobra.Command{Use: "verify", Short: "Run the row security self-test; it changes nothing", Args: cobra.NoArgs, RunE: migrateVerify},
	)
	return migrate
}

func migrateUp(cmd *cobra.Command, _ []string) error {
	s, err := loadSettings[migrateSettings](os.Environ())
	if err != nil {
		return err
	}
	secret, err := s.Secret.Or(string(s.Runtime))
	if err != nil {
		return err
	}
	err = migrations.Up(cmd.Context(), s.owner(), migrations.Options{ContextKeys: secret.ContextKeys(), RuntimeURL: string(s.Runtime),
		Log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))})
	if err != nil {
		return err
	}
	return reportMigration(cmd, "up to date, and the self-test passes")
}

func migrateVerify(cmd *cobra.Command, _ []string) error {
	s, err := loadSettings[migrateSettings](os.Environ())
	if err != nil {
		return err
	}
	report, err := migrations.Verify(cmd.Context(), s.owner())
	if err != nil {
		return err
	}
	return reportMigration(cmd, report)
}

func reportMigration(cmd *cobra.Command, report string) error {
	if inJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"status": "ok", "report": report})
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), report)
	return err
}

func migrateStatus(cmd *cobra.Command, _ []string) error {
	s, err := loadSettings[migrateSettings](os.Environ())
	if err != nil {
		return err
	}
	files, err := migrations.Status(cmd.Context(), s.owner())
	if err != nil {
		return err
	}
	if inJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(files)
	}
	for _, f := range files {
		if err := printFile(cmd.OutOrStdout(), f); err != nil {
			return err
		}
	}
	return nil
}

func printFile(out io.Writer, f migrations.File) error {
	state := "pending"
	switch {
	case f.Changed:
		state = "applied in another version, at " + f.AppliedAt.UTC().Format("2006-01-02 15:04:05Z")
	case f.Applied:
		state = "applied at " + f.AppliedAt.UTC().Format("2006-01-02 15:04:05Z")
	}
	_, err := fmt.Fprintf(out, "%-28s %s\n", f.Name, state)
	return err
}
