package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rosetree/auth"
)

func newSessions() *cobra.Command {
	cmd := &cobra.Command{Use: "sessions", Short: "Live sessions: list, revoke; migrate legacy ones; restore after a loss of Redis"}
	answersJSON(cmd)
	cmd.AddCommand(newSessionsList(), newSessionsRevoke(), newSessionsMigrate(), newSessionsRestore())
	return cmd
}

func newSessionsList() *cobra.Command {
	var f auth.SessionFilter
	cmd := &cobra.Command{Use: "list", Short: "List live sessions, the newest use first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error {
			id, err := userID(ctx, a, f.User)
			if f.User != "" && err != nil {
				return err
			}
			f.User = string(id)
			page, err := a.LiveSessions(ctx, f, "")
			if err != nil {
				return err
			}
			return say(cmd, page, func(w io.Writer) { printSessions(w, page) })
		})
	}}
	cmd.Flags().StringVar(&f.Q, "q", "", "part of an e-mail address, a name, a device, an address, or a session's id")
	cmd.Flags().StringVar(&f.User, "user", "", "one account's, by e-mail address or id")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "at most so many, up to 500")
	cmd.Flags().StringVar(&f.Cursor, "cursor", "", "go on where the last page ended")
	return cmd
}

func printSessions(w io.Writer, page auth.SessionPage) {
	fmt.Fprintln(w, "ID\tUSER\tDEVICE\tIP\tLAST SEEN\tEXPIRES\tAUTH\tSOCKETS")
	for _, s := range page.Sessions {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", s.ID, s.User.Email, s.Device.Name, s.IP, minutes(s.LastSeenAt), minutes(s.ExpiresAt), s.Auth, s.Sockets)
	}
	if page.Next != "" {
		fmt.Fprintln(w, "more: --cursor "+page.Next)
	}
}

// minutes is t as people read it in a list.
func minutes(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// revocationFlags say what is revoked: exactly one of them.
type revocationFlags struct {
	user, before, reason, confirm string
	all                           bool
}

func newSessionsRevoke() *cobra.Command {
	var f revocationFlags
	cmd := &cobra.Command{
		Use:   "revoke [SESSION] --reason TEXT",
		Short: "Revoke one session, a user's, or everybody's; sockets close on every server",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.reason == "" {
				return errors.New("--reason is missing: it stands in the audit log")
			}
			return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error {
				t, err := f.target(ctx, a, args)
				if err != nil {
					return err
				}
				r, err := a.Revoke(ctx, t, operator(), auth.Reason{Text: f.reason})
				if err != nil {
					return err
				}
				return say(cmd, r, func(w io.Writer) {
					fmt.Fprintf(w, "revocation\t%d\ndurable\t%t\nredis\t%s\nsessions\t%d\n", r.ID, r.Durable, r.Redis, r.Sessions)
				})
			})
		},
	}
	cmd.Flags().StringVar(&f.user, "user", "", "all sessions of this account (e-mail address or id)")
	cmd.Flags().BoolVar(&f.all, "all", false, "everybody's; needs --confirm all")
	cmd.Flags().StringVar(&f.before, "before", "", "with --user or --all: only what was issued until this moment (RFC 3339, or now)")
	cmd.Flags().StringVar(&f.confirm, "confirm", "", "all: yes, everybody is signed out")
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for the audit log (required)")
	return cmd
}

func (f revocationFlags) target(ctx context.Context, a *auth.Auth, args []string) (t auth.Target, err error) {
	if f.before != "" && f.before != "now" {
		if t.Before, err = time.Parse(time.RFC3339, f.before); err != nil {
			return t, fmt.Errorf("--before %q is no time such as 2026-01-31T12:00:00Z", f.before)
		}
	}
	switch {
	case len(args) == 1 && f.user == "" && !f.all && f.before == "":
		t.Kind, t.Session = auth.KindSession, auth.SessionID(args[0])
	case len(args) == 0 && f.user != "" && !f.all:
		t.Kind = auth.KindUser
		if !t.Before.IsZero() {
			t.Kind = auth.KindBefore
		}
		t.User, err = userID(ctx, a, f.user)
	case len(args) == 0 && f.all && f.user == "":
		t.Kind = auth.KindAll
		if f.confirm != "all" {
			return t, errors.New("this signs everybody out: add --confirm all")
		}
	default:
		return t, errors.New("name exactly one: a session's id, --user, or --all")
	}
	return t, err
}

func newSessionsMigrate() *cobra.Command {
	var from string
	var rate int
	cmd := &cobra.Command{
		Use:   "migrate-legacy",
		Short: "Make a session for every live legacy session, with its remaining life",
		Long: "Make a session for every live legacy session, with its remaining life. It may be stopped and run again: nothing is made twice.\n\n" +
			"--from FILE first records the old program's sessions: one JSON object a line with\n" +
			"id, user_id, email, name, role, created_at, expires_at, device{name,platform}, user_agent, ip.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error {
				if err := importLegacy(ctx, cmd, a, from); err != nil {
					return err
				}
				p, err := a.MigrateLegacy(ctx, rate, printProgress(cmd))
				return errors.Join(sayProgress(cmd, p), err)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "a file of the old program's live sessions; - is standard input")
	cmd.Flags().IntVar(&rate, "rate", 200, "at most so many a second; 0: as fast as it goes")
	return cmd
}

func importLegacy(ctx context.Context, cmd *cobra.Command, a *auth.Auth, from string) error {
	if from == "" {
		return nil
	}
	in := cmd.InOrStdin()
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	n, err := a.ImportLegacy(ctx, in)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%d legacy sessions recorded\n", n)
	return nil
}

func newSessionsRestore() *cobra.Command {
	var rate int
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Fill Redis after a loss from the durable record; what was revoked stays revoked",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error {
				p, err := a.RestoreSessions(ctx, rate, printProgress(cmd))
				return errors.Join(sayProgress(cmd, p), err)
			})
		},
	}
	cmd.Flags().IntVar(&rate, "rate", 0, "at most so many a second; 0: as fast as it goes")
	return cmd
}

func printProgress(cmd *cobra.Command) func(auth.Progress) {
	return func(p auth.Progress) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d: %d made, %d skipped, %d failed, %v\n", p.Done, p.Total, p.Made, p.Skipped, p.Failed, p.Took.Round(time.Millisecond))
	}
}

func sayProgress(cmd *cobra.Command, p auth.Progress) error {
	return say(cmd, p, func(w io.Writer) {
		fmt.Fprintf(w, "looked at\t%d\nmade\t%d\nskipped\t%d\nfailed\t%d\ntook\t%v\n", p.Done, p.Made, p.Skipped, p.Failed, p.Took.Round(time.Millisecond))
	})
}
