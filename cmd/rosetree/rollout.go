package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rosetree/auth"
)

func newRollout() *cobra.Command {
	cmd := &cobra.Command{Use: "rollout", Short: "The migration's switches on all running servers: get, set, reset"}
	answersJSON(cmd)
	cmd.AddCommand(newRolloutGet(), newRolloutSet(), newRolloutReset())
	return cmd
}

func newRolloutGet() *cobra.Command {
	return &cobra.Command{Use: "get", Short: "Show the switches, who turned them last, and what the guard decided", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return withAuth(cmd, func(_ context.Context, a *auth.Auth) error {
			s, err := a.Rollout()
			if err != nil {
				return err
			}
			return sayRollout(cmd, s)
		})
	}}
}

func newRolloutSet() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "set NAME=VALUE… --reason TEXT",
		Short: "Turn switches on all servers within a second, without a restart",
		Long: "Turn switches on all servers within a second, without a restart. Names, as in the environment or short:\n" +
			"  enabled (NEW_AUTH_ENABLED), percentage (NEW_AUTH_PERCENTAGE), rollback (ROLLBACK_MODE),\n" +
			"  lockdown (SECURITY_LOCKDOWN), legacy_enabled (LEGACY_AUTH_ENABLED)\n" +
			"  always, never: users whatever the percentage, by e-mail address or id, with commas; empty for nobody",
		Example: "  rosetree rollout set enabled=true percentage=10 --reason 'first step'\n  rosetree rollout set rollback=true --reason 'log-ins fail'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, listed, err := parseSwitches(args)
			if err != nil {
				return err
			}
			return turn(cmd, change, listed, false, reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log (required)")
	return cmd
}

func newRolloutReset() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "reset --reason TEXT", Short: "Go back to what each server's environment says", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return turn(cmd, auth.Override{}, nil, true, reason)
	}}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log (required)")
	return cmd
}

func turn(cmd *cobra.Command, change auth.Override, listed map[string]string, reset bool, reason string) error {
	if reason == "" {
		return errors.New("--reason is missing: it stands in the audit log")
	}
	return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error {
		if err := fillLists(ctx, a, listed, &change); err != nil {
			return err
		}
		s, err := a.TurnSwitches(ctx, change, reset, reason, operator(), 0)
		if err != nil {
			return err
		}
		return sayRollout(cmd, s)
	})
}

// fillLists finds the accounts that were named.
func fillLists(ctx context.Context, a *auth.Auth, listed map[string]string, o *auth.Override) error {
	for name, text := range listed {
		users := []auth.UserID{}
		for who := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' }) {
			id, err := userID(ctx, a, strings.TrimSpace(who))
			if err != nil {
				return fmt.Errorf("%s: %q: %w", name, who, err)
			}
			users = append(users, id)
		}
		if name == "always" {
			o.Always = &users
		} else {
			o.Never = &users
		}
	}
	return nil
}

// parseSwitches also returns the lists of users as they were written.
func parseSwitches(args []string) (auth.Override, map[string]string, error) {
	var o auth.Override
	listed := map[string]string{}
	switches := map[string]**bool{
		"enabled": &o.NewAuth, "new_auth_enabled": &o.NewAuth, "rollback": &o.Rollback, "rollback_mode": &o.Rollback,
		"lockdown": &o.Lockdown, "security_lockdown": &o.Lockdown, "legacy_enabled": &o.LegacyEnabled, "legacy_auth_enabled": &o.LegacyEnabled,
	}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		name = strings.ToLower(name)
		to, isSwitch := switches[name]
		switch {
		case !ok:
			return o, nil, fmt.Errorf("%q has no value: write NAME=VALUE", arg)
		case name == "always" || name == "never":
			listed[name] = value
		case name == "percentage" || name == "new_auth_percentage":
			p, err := strconv.ParseFloat(value, 64)
			if err != nil || !(p >= 0 && p <= 100) {
				return o, nil, fmt.Errorf("%s is %q, expected a number from 0 to 100", name, value)
			}
			o.Percentage = &p
		case isSwitch:
			on, err := strconv.ParseBool(value)
			if err != nil {
				return o, nil, fmt.Errorf("%s is %q, expected true or false", name, value)
			}
			*to = &on
		default:
			return o, nil, fmt.Errorf("%q is no switch: enabled, percentage, rollback, lockdown, legacy_enabled, always, never", name)
		}
	}
	return o, listed, nil
}

func sayRollout(cmd *cobra.Command, s auth.RolloutState) error {
	return say(cmd, s, func(w io.Writer) {
		e, o := s.Effective, s.Override
		fmt.Fprintf(w, "mode\t%s\n", e.Mode())
		fmt.Fprintf(w, "enabled\t%t\t%s\n", e.NewAuth, from(o.NewAuth != nil))
		fmt.Fprintf(w, "percentage\t%v\t%s\n", e.Percentage, from(o.Percentage != nil))
		fmt.Fprintf(w, "rollback\t%t\t%s\n", e.Rollback, from(o.Rollback != nil))
		fmt.Fprintf(w, "lockdown\t%t\t%s\n", e.Lockdown, from(o.Lockdown != nil))
		fmt.Fprintf(w, "legacy_enabled\t%t\t%s\n", e.LegacyEnabled, from(o.LegacyEnabled != nil))
		if o.Always != nil {
			fmt.Fprintf(w, "always\t%s\n", joined(*o.Always))
		}
		if o.Never != nil {
			fmt.Fprintf(w, "never\t%s\n", joined(*o.Never))
		}
		if s.Actor != "" {
			fmt.Fprintf(w, "last change\t%s by %s: %s\n", minutes(s.At), s.Actor, s.Reason)
		}
		if g := s.Guard; g != nil {
			fmt.Fprintf(w, "guard\t%s rolled back at %s: %s (%.2f %% of %d attempts failed, p95 %.1f ms)\n", g.Server, minutes(g.At), g.Cause, g.ErrorRate, g.Attempts, g.P95)
		}
	})
}

func joined(users []auth.UserID) string {
	var b strings.Builder
	for i, u := range users {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(u))
	}
	return b.String()
}

func from(override bool) string {
	if override {
		return "set while running"
	}
	return "environment"
}
