package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rosetree/auth"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "The audit log: export, verify"}
	answersJSON(cmd)
	var after int64
	export := &cobra.Command{Use: "export", Short: "Write the log to standard output, oldest first, one JSON object a line", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error {
			_, err := a.ExportAudit(ctx, cmd.OutOrStdout(), after)
			return err
		})
	}}
	export.Flags().Int64Var(&after, "after", 0, "only lines after this id: to go on where the last export ended")
	verify := &cobra.Command{Use: "verify", Short: "Check the chain of hashes: no line was changed, removed or put in between", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error { return verifyAudit(ctx, cmd, a) })
	}}
	cmd.AddCommand(export, verify)
	return cmd
}

func verifyAudit(ctx context.Context, cmd *cobra.Command, a *auth.Auth) error {
	broken, lines, err := a.VerifyAudit(ctx)
	if err != nil {
		return err
	}
	err = say(cmd, map[string]any{"lines": lines, "whole": broken == 0, "broken_at": broken}, func(w io.Writer) {
		if broken == 0 {
			fmt.Fprintf(w, "%d lines, the chain is whole\n", lines)
		} else {
			fmt.Fprintf(w, "the chain is broken at line %d of %d\n", broken, lines)
		}
	})
	if err == nil && broken != 0 {
		return errReported
	}
	return err
}
