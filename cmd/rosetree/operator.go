package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"rosetree/auth"
)

// operatorSettings are what a command needs that does an operator's work beside the running servers.
type operatorSettings struct {
	Database auth.DBConfig
	Auth     auth.Config
	Redis    auth.Secret `env:"REDIS_URL,required" secret:"true" doc:"redis://, rediss://, unix://; several addresses, or redis+cluster://, redis+sentinel:// for those set-ups"`
}

// readyWithin is how long a command waits until it knows the switches and the revocations.
const readyWithin = 10 * time.Second

// withAuth runs work with the service on the servers' own PostgreSQL and Redis: what it does, they hear as if one of them did it.
func withAuth(cmd *cobra.Command, work func(ctx context.Context, a *auth.Auth) error) error {
	s, err := loadSettings[operatorSettings](os.Environ())
	if err != nil {
		return err
	}
	rdb, err := auth.OpenRedis(string(s.Redis))
	if err != nil {
		return err
	}
	defer rdb.Close()
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	reg := prometheus.NewRegistry()
	s.Database.Log = log
	db, err := auth.OpenDB(cmd.Context(), s.Database, reg)
	if err != nil {
		return err
	}
	defer db.Close()
	a, err := auth.New(s.Auth, db, rdb, log, reg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(cmd.Context())
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	wait, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err = a.WaitReady(wait); err == nil {
		err = work(ctx, a)
	}
	stop()
	return errors.Join(err, <-ran)
}

// operator is who the audit log names for what a command does: the person at the terminal, as far as the machine knows.
func operator() auth.Actor {
	name := "operator"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name += "@" + u.Username
	}
	return auth.Actor{As: name}
}

// say prints v as one line of JSON with --json, and otherwise what text writes.
func say(cmd *cobra.Command, v any, text func(io.Writer)) error {
	if inJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	text(w)
	return w.Flush()
}

// reading reads one line, such as a password that must not stand in the process list.
func reading(cmd *cobra.Command, prompt string) (string, error) {
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	line, err := readLine(cmd.InOrStdin())
	fmt.Fprintln(cmd.ErrOrStderr())
	return line, err
}

func readLine(r io.Reader) (string, error) {
	var line strings.Builder
	var b [1]byte
	for {
		n, err := r.Read(b[:])
		switch {
		case n == 1 && b[0] == '\n':
			return strings.TrimSuffix(line.String(), "\r"), nil
		case n == 1:
			line.WriteByte(b[0])
		case err == io.EOF && line.Len() > 0:
			return line.String(), nil
		case err != nil:
			return "", fmt.Errorf("nothing to read: %w", err)
		}
		if line.Len() > 4096 {
			return "", errors.New("the line is too long")
		}
	}
}

// userID takes an e-mail address or an id.
func userID(ctx context.Context, a *auth.Auth, who string) (auth.UserID, error) {
	if !strings.Contains(who, "@") {
		return auth.UserID(who), nil
	}
	u, err := a.UserByEmail(ctx, who)
	return u.ID, err
}
