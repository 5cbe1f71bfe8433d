// Command rosetree is the portfolio server, its demo, and the tools to run and migrate it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:]))
}

// run is main without the process: the exit code is 0, 1 where the work failed, 2 where it was asked for wrongly.
func run(ctx context.Context, args []string) int {
	root, started := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
		return 1
	}
	fmt.Fprintln(os.Stderr, "rosetree:", err)
	if !*started {
		fmt.Fprintln(os.Stderr, "See 'rosetree --help'.")
		return 2
	}
	return 1
}

// errReported is returned by a command that has already told its user what failed.
var errReported = errors.New("failed")

// newRoot also returns whether a command's work began: whatever fails before that is wrong usage.
func newRoot() (*cobra.Command, *bool) {
	started := false
	root := &cobra.Command{
		Use:           "rosetree",
		Short:         "A WebSocket-first real-time portfolio server",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			started = true
		},
	}
	root.AddCommand(
		newServe(),
		newDemo(),
		newCluster(),
		newMigrate(),
		newCheck(),
		newConfig(),
		newUser(),
		newSessions(),
		newRollout(),
		newAudit(),
		newAlerts(),
		newLoad(),
		newPrices(),
		newHealth(),
		newVersion(),
	)
	return root, &started
}
