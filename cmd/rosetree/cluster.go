package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"rosetree/internal/devstack"
)

// clusterOptions are the flags of `rosetree cluster`.
type clusterOptions struct {
	demoOptions
	servers int
}

func newCluster() *cobra.Command {
	var o clusterOptions
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Run several servers behind a balancer, with a PostgreSQL and a Redis Cluster of their own",
		Long: "Run several servers behind a balancer, with a PostgreSQL and a Redis Cluster (three masters, three replicas)\n" +
			"of their own, all as private children on free ports of this machine; they end with the command. It is the demo\n" +
			"with the set-up of production: kill a server or a Redis node and see what happens. People, portfolios and\n" +
			"transactions stay in --data; the Redis Cluster begins empty each time. Settings from the environment count.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.servers < 1 || o.servers > 9 {
				return errors.New("--servers must be from 1 to 9")
			}
			return cluster(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.flags(cmd, ".rosetree-cluster")
	cmd.Flags().IntVar(&o.servers, "servers", 3, "how many servers")
	return cmd
}

// cluster runs everything until ctx ends.
func cluster(ctx context.Context, o clusterOptions, out, progress io.Writer) (err error) {
	began := time.Now()
	if o.asJSON {
		progress = io.Discard
	}
	say := func(format string, args ...any) { fmt.Fprintf(progress, format+"\n", args...) }
	stack, err := devstack.Start(ctx, devstack.Options{Dir: o.data, Fresh: o.fresh, Cluster: true, Say: say})
	if err != nil {
		return explainStart(err, o.data)
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	cfg, err := demoConfig(stack, o.listen, os.Environ())
	if err != nil {
		return err
	}
	people, err := prepareDemo(ctx, stack, cfg, say)
	if err != nil {
		return err
	}
	say("starting %d servers", o.servers)
	servers, err := startMembers(ctx, stack, o.servers)
	defer func() {
		say("ending the servers")
		endMembers(servers)
	}()
	if err != nil {
		return err
	}
	front, err := devstack.StartBalancer(cfg.HTTP.Listen, memberAddrs(servers)...)
	if err != nil {
		return err
	}
	defer front.Close()
	url := "http://" + front.Addr
	d := demoReady{at: addresses{url: url, metrics: servers[0].URL + "/metrics"}, stack: stack, people: people, took: time.Since(began), data: o.data, members: servers}
	if o.asJSON {
		d.writeJSON(out)
	} else {
		d.writeText(out)
	}
	return watchMembers(ctx, servers, say)
}

// member is one server of the cluster.
type member struct {
	URL     string `json:"url"`
	PID     int    `json:"pid"`
	program *devstack.Program
}

// startMembers starts all side by side, and returns those that were started also where one fails.
func startMembers(ctx context.Context, stack *devstack.Stack, n int) ([]*member, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// Each finds a port of its own and says it in its log, so the log's form is not the environment's to choose.
	env := append(demoDefaults[:len(demoDefaults):len(demoDefaults)], os.Environ()...)
	env = append(env, "DATABASE_URL="+stack.DatabaseURL, "REDIS_URL="+stack.RedisURL, "LISTEN_ADDR=127.0.0.1:0", "METRICS_ADDR=", "LOG_LEVEL=info", "LOG_FORMAT=json")
	var all []*member
	for i := range n {
		p, err := stack.Run(fmt.Sprintf("server-%d", i+1), self, []string{"serve"}, env)
		if err != nil {
			return all, err
		}
		all = append(all, &member{PID: p.PID, program: p})
	}
	for _, m := range all {
		if err := m.await(ctx); err != nil {
			return all, err
		}
	}
	return all, nil
}

// await reads the server's address from its log.
func (m *member) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for m.URL == "" {
		select {
		case <-ctx.Done():
			return fmt.Errorf("a server is not ready: %w; its log ends: %s", ctx.Err(), m.program.LastWords())
		case <-m.program.Done:
			return fmt.Errorf("a server ended at once; its log ends: %s", m.program.LastWords())
		case <-time.After(20 * time.Millisecond):
		}
		m.read()
	}
	return nil
}

func (m *member) read() {
	log, err := os.Open(m.program.Log)
	if err != nil {
		return
	}
	defer log.Close()
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			m.URL = line.URL
		}
	}
}

func memberAddrs(members []*member) (all []string) {
	for _, m := range members {
		all = append(all, strings.TrimPrefix(m.URL, "http://"))
	}
	return all
}

// watchMembers returns when ctx ends, or no server is left. One that ends is told, and not started again: whoever killed it wants to see.
func watchMembers(ctx context.Context, members []*member, say func(string, ...any)) error {
	ended := make(chan *member, len(members))
	for _, m := range members {
		go func() { <-m.program.Done; ended <- m }()
	}
	for left := len(members); left > 0; {
		select {
		case <-ctx.Done():
			return nil
		case m := <-ended:
			left--
			say("the server on %s (process %d) ended; %d go on", m.URL, m.PID, left)
		}
	}
	return errors.New("no server is left; what they said is in server-*.log of the data folder")
}

func endMembers(members []*member) {
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() { _ = m.program.End(20 * time.Second) }) // it is killed where it does not end
	}
	wg.Wait()
}
