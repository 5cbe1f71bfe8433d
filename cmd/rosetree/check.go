package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"rosetree/auth"
)

func newCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look at every dependency, setting and permission, and say what to do about each that fails",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := check(cmd.Context(), os.Environ())
			if err := writeFindings(cmd.OutOrStdout(), found, asJSON); err != nil {
				return err
			}
			for _, f := range found {
				if f.Status == auth.StatusFailed {
					return errReported
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

func check(ctx context.Context, environ []string) []auth.Finding {
	s, err := loadSettings[operatorSettings](environ)
	if err != nil {
		return wrongSettings(err)
	}
	found := []auth.Finding{{What: "settings", Status: auth.StatusOK, Detail: "all can be read"}}
	db, err := auth.OpenDB(ctx, s.Database, prometheus.NewRegistry())
	if err != nil {
		found = append(found, auth.Finding{What: "PostgreSQL", Status: auth.StatusFailed, Detail: err.Error(), Do: "check DATABASE_URL, and that 'rosetree migrate up' has run"})
	} else {
		found = append(found, auth.CheckDatabase(ctx, db)...)
		db.Close()
	}
	rdb, err := auth.OpenRedis(string(s.Redis.URL))
	if err != nil {
		return append(found, auth.Finding{What: "Redis", Status: auth.StatusFailed, Detail: err.Error(), Do: "correct REDIS_URL"})
	}
	defer rdb.Close()
	return append(found, auth.CheckRedis(ctx, rdb)...)
}

// wrongSettings makes one line of each; nothing else can be looked at before they are right.
func wrongSettings(err error) (found []auth.Finding) {
	wrong := []error{err}
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		wrong = joined.Unwrap()
	}
	for _, err := range wrong {
		found = append(found, auth.Finding{What: "settings", Status: auth.StatusFailed, Detail: err.Error(), Do: "'rosetree config' lists every setting"})
	}
	return found
}

func writeFindings(out io.Writer, found []auth.Finding, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(found)
	}
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%-8s %s: %s\n", f.Status, f.What, f.Detail)
		if f.Do != "" {
			fmt.Fprintf(&b, "         -> %s\n", strings.ReplaceAll(f.Do, "\n", "\n            "))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
