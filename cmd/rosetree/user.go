package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rosetree/auth"
)

func newUser() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Accounts: add, list, promote, disable, enable; the first administrator's token"}
	answersJSON(cmd)
	cmd.AddCommand(newUserAdd(), newUserList(), newUserPromote(), newUserStatus("disable", "disabled", "Disable an account and end all its sessions"),
		newUserStatus("enable", "active", "Enable a disabled account"), newUserBootstrap())
	return cmd
}

func newUserAdd() *cobra.Command {
	var role, name, currency string
	cmd := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Add an account; its password is read from standard input",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := reading(cmd, "Password: ")
			if err != nil {
				return err
			}
			return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error {
				u, err := a.AddUser(ctx, auth.NewUser{Email: args[0], Password: password, DisplayName: name, Role: auth.Role(role), BaseCurrency: currency}, operator().As)
				if err != nil {
					return err
				}
				return sayUsers(cmd, u, u)
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "user", "user, admin or feed")
	cmd.Flags().StringVar(&name, "name", "", "the name that is shown")
	cmd.Flags().StringVar(&currency, "currency", "USD", "base currency, ISO 4217")
	return cmd
}

func newUserList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List accounts", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error {
			all, err := a.Users(ctx)
			if err != nil {
				return err
			}
			return sayUsers(cmd, all, all...)
		})
	}}
}

func sayUsers(cmd *cobra.Command, v any, all ...auth.User) error {
	return say(cmd, v, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tE-MAIL\tROLE\tSTATUS\tCREATED")
		for _, u := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.ID, u.Email, u.Role, u.Status, minutes(u.CreatedAt))
		}
	})
}

func newUserPromote() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:   "promote EMAIL|ID",
		Short: "Give an account another role, at once and also in its live sessions",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeUser(cmd, args[0], func(ctx context.Context, a *auth.Auth, id auth.UserID) error {
				return a.SetRole(ctx, id, auth.Role(role), operator())
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "admin", "user, admin or feed")
	return cmd
}

func newUserStatus(use, status, short string) *cobra.Command {
	return &cobra.Command{Use: use + " EMAIL|ID", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return changeUser(cmd, args[0], func(ctx context.Context, a *auth.Auth, id auth.UserID) error {
			return a.SetStatus(ctx, id, status, operator())
		})
	}}
}

func changeUser(cmd *cobra.Command, who string, change func(context.Context, *auth.Auth, auth.UserID) error) error {
	return withAuth(cmd, func(ctx context.Context, a *auth.Auth) error {
		id, err := userID(ctx, a, who)
		if err != nil {
			return err
		}
		if err := change(ctx, a, id); err != nil {
			return err
		}
		u, err := a.User(ctx, id)
		if err != nil {
			return err
		}
		return sayUsers(cmd, u, u)
	})
}

func newUserBootstrap() *cobra.Command {
	return &cobra.Command{
		Use:   "bootstrap",
		Short: "Print the token by which one registration becomes the first administrator",
		Long:  "Print the token by which one registration becomes the first administrator:\nPOST /api/auth/register with \"bootstrap\". It works once, while there is no administrator.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAuth(cmd, func(_ context.Context, a *auth.Auth) error {
				return say(cmd, map[string]string{"bootstrap": a.BootstrapToken()}, func(w io.Writer) { fmt.Fprintln(w, a.BootstrapToken()) })
			})
		},
	}
}
