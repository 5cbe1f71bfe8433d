package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rosetree/prices"
)

func newPricesWebhooks() *cobra.Command {
	cmd := &cobra.Command{Use: "webhooks", Short: "The secrets that sign what users' webhooks are sent: seal them, or open them for the release before"}
	var asJSON, confirmed bool
	cmd.PersistentFlags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	seal := &cobra.Command{
		Use:   "seal",
		Short: "Seal every secret with the first one of SECRET_KEY",
		Long: `Servers do it by themselves every ten minutes. Afterwards no secret stands in the clear, and older secrets of
SECRET_KEY are no longer needed for any of them. Exits with 1 where some can be opened by none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return keepWebhooks(cmd, "sealed", (*prices.Service).SealWebhooks)
		},
	}
	open := &cobra.Command{
		Use:   "open --yes",
		Short: "Put every secret back in the clear, where the release before this one finds it",
		Long: `For going back to a release that cannot open them, or for another SECRET_KEY that cannot stand beside the present
one. Do it when no server of this release runs any more: each seals again within ten minutes. Until then dumps hold the secrets.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !confirmed {
				return errors.New("the secrets will stand in the clear in the database and its dumps: add --yes")
			}
			return keepWebhooks(cmd, "opened", (*prices.Service).OpenWebhooks)
		},
	}
	open.Flags().BoolVar(&confirmed, "yes", false, "the secrets may stand in the clear")
	cmd.AddCommand(seal, open)
	return cmd
}

func keepWebhooks(cmd *cobra.Command, done string, keep func(*prices.Service, context.Context) (prices.WebhookSecrets, error)) error {
	return withPrices(cmd, prices.Config{}, func(ctx context.Context, s *prices.Service) error {
		sum, err := keep(s, ctx)
		if err != nil {
			return err
		}
		if err := say(cmd, sum, func(w io.Writer) { fmt.Fprintf(w, "%d %s\n", sum.Changed, done) }); err != nil {
			return err
		}
		if sum.Lost > 0 {
			return fmt.Errorf("no secret in SECRET_KEY opens %d of them: put the one back that sealed them, or their owners must give the address again", sum.Lost)
		}
		return nil
	})
}
