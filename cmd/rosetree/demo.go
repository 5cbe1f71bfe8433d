package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rosetree/internal/devstack"
	"rosetree/migrations"
)

// demoOptions are the flags of `rosetree demo`.
type demoOptions struct {
	data   string
	fresh  bool
	listen string
	asJSON bool
}

const demoListen = "127.0.0.1:8080"

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run Rosetree with a PostgreSQL and a Redis of its own, people, portfolios and moving prices",
		Long: "Run Rosetree with a PostgreSQL and a Redis of its own, people, portfolios and moving prices.\n" +
			"Both servers must be installed; they are started as private children on free ports of this machine,\n" +
			"and end with the demo. Their data stays in --data. Settings from the environment count, except where\n" +
			"the demo's own servers are: try NEW_AUTH_PERCENTAGE=0 or PRICE_FEEDS=sim.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.flags(cmd, ".rosetree")
	return cmd
}

// flags are those that demo and cluster share.
func (o *demoOptions) flags(cmd *cobra.Command, data string) {
	cmd.Flags().StringVar(&o.data, "data", data, "folder of the data, kept between runs")
	cmd.Flags().BoolVar(&o.fresh, "fresh", false, "empty the folder first")
	cmd.Flags().StringVar(&o.listen, "listen", "", "address to listen on, port 0 for any (default "+demoListen+", or another port where that is taken)")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one line of JSON when ready, and no progress")
}

// demo runs everything until ctx ends.
func demo(ctx context.Context, o demoOptions, out, progress io.Writer) error {
	began := time.Now()
	if o.asJSON {
		progress = io.Discard
	}
	say := func(format string, args ...any) { fmt.Fprintf(progress, format+"\n", args...) }
	stack, err := devstack.Start(ctx, devstack.Options{Dir: o.data, Fresh: o.fresh, Say: say})
	if err != nil {
		return explainStart(err, o.data)
	}
	defer func() {
		say("ending the servers")
		if err := stack.Close(); err != nil {
			say("%v", err)
		}
	}()
	cfg, err := demoConfig(stack, o.listen, os.Environ())
	if err != nil {
		return err
	}
	people, err := prepareDemo(ctx, stack, cfg, say)
	if err != nil {
		return err
	}
	return serve(ctx, cfg, cfg.Log.logger(os.Stderr), func(at addresses) {
		d := demoReady{at: at, stack: stack, people: people, took: time.Since(began), data: o.data}
		if o.asJSON {
			d.writeJSON(out)
		} else {
			d.writeText(out)
		}
	})
}

// explainStart says what a person can do about a demo that cannot start.
func explainStart(err error, data string) error {
	if errors.Is(err, devstack.ErrInUse) {
		return fmt.Errorf("%w: another demo runs on it. End that one, or use another folder: --data %s-2", err, strings.TrimRight(data, "/"))
	}
	return err
}

var demoDefaults = []string{
	"PRICE_FEEDS=replay:market,sim", "NEW_AUTH_ENABLED=true", "NEW_AUTH_PERCENTAGE=100",
	"LOG_LEVEL=warn", "LOG_FORMAT=text",
}

// demoConfig is the server's settings: the demo's defaults, over them what the environment says, and over
// that where the demo's own servers are.
func demoConfig(stack *devstack.Stack, listen string, environ []string) (Config, error) {
	settings := append(demoDefaults[:len(demoDefaults):len(demoDefaults)], environ...)
	settings = append(settings, "DATABASE_URL="+stack.DatabaseURL, "REDIS_URL="+stack.RedisURL, "LISTEN_ADDR="+demoAddress(listen))
	return loadSettings[Config](settings)
}

// demoAddress is listen, or where nothing was asked for: the usual port, any other where that is taken.
func demoAddress(listen string) string {
	if listen != "" {
		return listen
	}
	l, err := net.Listen("tcp", demoListen)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close()
	return demoListen
}

// prepareDemo brings the database to the newest schema and, the first time, to life.
func prepareDemo(ctx context.Context, stack *devstack.Stack, cfg Config, say func(string, ...any)) ([]demoPerson, error) {
	secret, err := cfg.DB.Secret.Or(string(cfg.DB.URL))
	if err != nil {
		return nil, err
	}
	err = migrations.Up(ctx, stack.OwnerURL, migrations.Options{ContextKeys: secret.ContextKeys(), RuntimeURL: stack.DatabaseURL})
	if err != nil {
		return nil, err
	}
	say("the schema is in place")
	return seedDemo(ctx, stack.Folder, cfg, say)
}
