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
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"rosetree/auth"
)

// operatorSettings are what a command needs that does an operator's work beside the running servers.
type operatorSettings struct {
	Database auth.DBConfig
	Auth     auth.Config
	Redis    RedisConfig
}

// readyWithin is how long a command waits until it knows the switches and the revocations.
const readyWithin = 10 * time.Second

// beside is what a command works with beside the running servers: their own PostgreSQL and Redis.
type beside struct {
	settings operatorSettings
	db       *auth.DB
	rdb      redis.UniversalClient
	log      *slog.Logger
	reg      *prometheus.Registry
}

// besideServers runs work with what the environment names.
func besideServers(cmd *cobra.Command, work func(beside) error) (err error) {
	b := beside{reg: prometheus.NewRegistry(), log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if b.settings, err = loadSettings[operatorSettings](os.Environ()); err != nil {
		return err
	}
	if b.rdb, err = auth.OpenRedis(string(b.settings.Redis.URL)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.rdb.Close()) }()
	b.settings.Database.Log = b.log
	if b.db, err = auth.OpenDB(cmd.Context(), b.settings.Database, b.reg); err != nil {
		return err
	}
	defer b.db.Close()
	return work(b)
}

// withAuth runs work with the service; what it does, the running servers hear as if one of them did it.
func withAuth(cmd *cobra.Command, work func(ctx context.Context, a *auth.Auth) error) error {
	return besideServers(cmd, func(b beside) error {
		a, err := auth.New(b.settings.Auth, b.db, b.rdb, b.log, b.reg)
		if err != nil {
			return err
		}
		return whileRunning(cmd.Context(), a, work)
	})
}

// whileRunning runs a, and work once a knows the switches and the revocations.
func whileRunning(ctx context.Context, a *auth.Auth, work func(ctx context.Context, a *auth.Auth) error) error {
	ctx, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	wait, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	err := a.WaitReady(wait)
	if err == nil {
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

// answersJSON gives cmd and its subcommands the flag --json, which say looks for.
func answersJSON(cmd *cobra.Command) {
	cmd.PersistentFlags().Bool("json", false, "print one line of JSON")
}

func inJSON(cmd *cobra.Command) bool {
	asJSON, err := cmd.Flags().GetBool("json")
	return err == nil && asJSON
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
