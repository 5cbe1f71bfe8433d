package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rosetree/prices"
)

func newPrices() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prices",
		Short: "Record what price feeds report and play it again; fill in what prices did before; seal the secrets of webhooks",
		Long: `A recording is a file of JSON lines: {"s":"AAPL","p":"189.12","t":1790000000123,"source":"kraken"}.
A server plays it with PRICE_FEEDS=replay:FILE.jsonl.`,
	}
	cmd.AddCommand(newPricesRecord(), newPricesReplay(), newPricesBackfill(), newPricesWebhooks())
	return cmd
}

func newPricesRecord() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "record FEEDS FILE",
		Short: "Write what feeds report to a file, until Ctrl-C or --for",
		Long: `FEEDS is what PRICE_FEEDS would hold. There is no server, so nobody looks at anything: name the symbols
of an exchange. The keys of feeds come from the environment.`,
		Example: `  rosetree prices record 'kraken?symbols=BTC-USD+EUR-USD' kraken.jsonl --for 1h`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			file, err := os.OpenFile(args[1], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) // a recording is not written over
			if err != nil {
				return err
			}
			defer func() {
				err = errors.Join(err, file.Close())
				if info, _ := os.Stat(args[1]); err != nil && info != nil && info.Size() == 0 {
					err = errors.Join(err, os.Remove(args[1])) // or the next try would find it there
				}
			}()
			return recordPrices(cmd, args[0], length, file)
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "stop after this time; 0: at Ctrl-C")
	return cmd
}

func newPricesReplay() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Print a recording, or bars of a CSV file, in their rhythm and with the current time",
		Long: `FILE is a recording or a CSV of bars, with the options of a replay feed: 'kraken.jsonl?speed=10'. The lines
printed are those of a recording.`,
		Example: `  rosetree prices replay 'kraken.jsonl?speed=10'`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return recordPrices(cmd, "replay:"+args[0], length, cmd.OutOrStdout())
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "stop after this time; 0: at Ctrl-C")
	return cmd
}

func recordPrices(cmd *cobra.Command, feeds string, length time.Duration, w io.Writer) error {
	cfg, err := feedSettings(feeds, os.Environ())
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	if length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	return prices.Record(ctx, cfg, w, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
}

// feedSettings are the keys of feeds in environ, with these feeds.
func feedSettings(feeds string, environ []string) (prices.Config, error) {
	environ = slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, "PRICE_FEEDS=") })
	return loadSettings[prices.Config](append(environ, "PRICE_FEEDS="+feeds))
}
