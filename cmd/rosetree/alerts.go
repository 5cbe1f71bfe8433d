package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"rosetree/auth"
	"rosetree/internal/alert"
)

// AlertConfig is where alerts go when no Prometheus watches.
type AlertConfig struct {
	Webhook auth.Secret `env:"ALERT_WEBHOOK_URL" secret:"true" doc:"Incoming webhook (Slack-compatible JSON) for the alert conditions of deploy/prometheus/rules.yml; empty: none"`
}

// alerting are the parts that watch this server's own metrics and tell of what they find; none without a webhook.
func alerting(cfg AlertConfig, reg prometheus.Gatherer, rdb redis.UniversalClient, log *slog.Logger) []runner {
	if cfg.Webhook == "" {
		return nil
	}
	server, _ := os.Hostname()
	hook := alert.NewWebhook(string(cfg.Webhook), server, log)
	watch := alert.NewWatch(reg, alert.Conditions, hook, &oneTells{rdb: rdb, server: server + "/" + rand.Text()}, log)
	return []runner{hook.Run, watch.Run}
}

// oneTells lets one of several servers tell of a condition: the one whose name stands in Redis. Without Redis each tells:
// twice is better than never.
type oneTells struct {
	rdb    redis.UniversalClient
	server string
}

const alertClaim = time.Minute // some rounds of the watch: who died with it is replaced

func (o *oneTells) Take(ctx context.Context, condition string) bool {
	key := "rt:alert:" + condition
	taken, err := o.rdb.SetNX(ctx, key, o.server, alertClaim).Result()
	if err != nil || taken {
		return true
	}
	if holder, err := o.rdb.Get(ctx, key).Result(); err != nil || holder != o.server {
		return err != nil
	}
	o.rdb.PExpire(ctx, key, alertClaim)
	return true
}

func (o *oneTells) Release(ctx context.Context, condition string) {
	key := "rt:alert:" + condition
	if holder, err := o.rdb.Get(ctx, key).Result(); err == nil && holder == o.server {
		o.rdb.Del(ctx, key)
	}
}

func newAlerts() *cobra.Command {
	cmd := &cobra.Command{Use: "alerts", Short: "What operators are told of: print the rules for Prometheus, try the webhook"}
	cmd.AddCommand(&cobra.Command{
		Use: "rules", Short: "Print the conditions as a rules file for Prometheus", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return alert.WriteRules(cmd.OutOrStdout(), alert.Conditions)
		},
	}, &cobra.Command{
		Use: "test", Short: "Send a message to ALERT_WEBHOOK_URL and say what it answered", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := loadSettings[struct{ Alerts AlertConfig }](os.Environ())
			if err != nil {
				return err
			}
			return tryWebhook(cmd, s.Alerts)
		},
	})
	return cmd
}

func tryWebhook(cmd *cobra.Command, cfg AlertConfig) error {
	if cfg.Webhook == "" {
		return errors.New("ALERT_WEBHOOK_URL is not set: set it to the address that your chat's incoming webhook has")
	}
	server, _ := os.Hostname()
	if err := alert.NewWebhook(string(cfg.Webhook), server, slog.Default()).Try(cmd.Context()); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "The webhook took the message.")
	return nil
}
