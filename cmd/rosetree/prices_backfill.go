package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rosetree/auth"
	"rosetree/prices"
)

// backfill are the flags of the command.
type backfill struct {
	from, to, symbol string
	prices.PastRequest
}

func newPricesBackfill() *cobra.Command {
	var b backfill
	cmd := &cobra.Command{
		Use:   "backfill SOURCE [SYMBOL...]",
		Short: "Fill in candles and daily closes of the past, from an exchange or a CSV file",
		Long: `SOURCE is coinbase, kraken or binance, with options as in PRICE_FEEDS, or a CSV file of days: a header with date
and close, and symbol, open, high and low where the file has them. Without a SYMBOL all that the source knows are
filled in. What is there stays, unless --replace is given. Servers that run take it over at once.
Kraken answers no more than the newest 720 candles of an interval.`,
		Example: `  rosetree prices backfill coinbase BTC-USD ETH-USD --from 2020-01-01
  rosetree prices backfill kraken EUR-USD --interval 1h --from 2026-11-01
  rosetree prices backfill acme.csv --symbol ACME --replace`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b.Symbols = args[1:]
			return b.run(cmd, args[0])
		},
	}
	cmd.Flags().StringVar(&b.Interval, "interval", "1d", "1m, 5m, 1h or 1d")
	cmd.Flags().StringVar(&b.from, "from", "", "first day, as in 2026-01-31 (default a year ago, or as long as candles of the interval are kept)")
	cmd.Flags().StringVar(&b.to, "to", "", "day before which to end (default now)")
	cmd.Flags().StringVar(&b.symbol, "symbol", "", "whose prices a file has that does not say it")
	cmd.Flags().BoolVar(&b.Replace, "replace", false, "write over what is there")
	cmd.Flags().Bool("json", false, "print a line of JSON for each symbol")
	return cmd
}

func (b *backfill) run(cmd *cobra.Command, source string) (err error) {
	file := strings.HasSuffix(source, ".csv")
	if b.symbol != "" && !file {
		return errors.New("--symbol says whose prices a CSV file has; name the symbols of an exchange behind it, as in backfill coinbase BTC-USD")
	}
	now := time.Now()
	if b.From, err = dayFlag("from", b.from, prices.PastFrom(b.Interval, now)); err != nil {
		return err
	}
	if b.To, err = dayFlag("to", b.to, now); err != nil {
		return err
	}
	var cfg prices.Config
	if !file {
		if cfg, err = feedSettings(source, os.Environ()); err != nil {
			return err
		}
	}
	return withPrices(cmd, cfg, func(ctx context.Context, s *prices.Service) error {
		if file {
			return s.BackfillFile(ctx, source, b.symbol, b.PastRequest, b.tell(cmd))
		}
		return s.Backfill(ctx, b.PastRequest, b.tell(cmd))
	})
}

func (b *backfill) tell(cmd *cobra.Command) func(prices.PastResult) {
	return func(r prices.PastResult) {
		_ = say(cmd, r, func(w io.Writer) {
			fmt.Fprintf(w, "%s\t%s\t%d found\t%d candles written\t%d skipped\n", r.Symbol, r.Interval, r.Found, r.Written, r.Skipped)
		})
	}
}

func dayFlag(name, text string, fallback time.Time) (time.Time, error) {
	if text == "" {
		return fallback, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, fmt.Errorf("--%s %q is not a date such as 2026-01-31", name, text)
	}
	return t, nil
}

// withPrices runs work with the room of prices; its feeds do not run.
func withPrices(cmd *cobra.Command, cfg prices.Config, work func(context.Context, *prices.Service) error) error {
	return besideServers(cmd, func(b beside) error {
		market, err := prices.New(cfg, b.db.Service(auth.ServiceFeed), b.db.Sealer(), b.rdb, b.log, nil)
		if err != nil {
			return err
		}
		return work(cmd.Context(), market)
	})
}
