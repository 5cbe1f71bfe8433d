package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is longer than the server gives each of its own checks.
const healthTimeout = 3 * time.Second

// newHealth is how an image without a shell checks itself.
func newHealth() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Ask the server on LISTEN_ADDR whether it is ready: exit code 0 or 1",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := readyURL(os.Getenv("LISTEN_ADDR"), os.Getenv("TLS_CERT_FILE") != "")
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			return askReady(ctx, url, cmd.OutOrStdout())
		},
	}
}

// readyURL is where this machine reaches a server that listens on listen, which may be every address.
func readyURL(listen string, tls bool) (string, error) {
	if listen == "" {
		listen = "127.0.0.1:8080"
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("LISTEN_ADDR holds %q, expected host:port", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // either family, as the listener
	}
	scheme := "http"
	if tls {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/api/health/ready", nil
}

// askReady copies the server's answer to out; an answer other than 200 is an error.
func askReady(ctx context.Context, url string, out io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := localClient().Do(req)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	fmt.Fprintln(out, strings.TrimSpace(string(body)))
	if resp.StatusCode != http.StatusOK {
		return errors.New("not ready: " + resp.Status)
	}
	return nil
}

// localClient talks to this machine: no proxy from the environment, and any certificate, because the
// server's own names the outside host.
func localClient() *http.Client {
	transport := &http.Transport{Proxy: nil, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return &http.Client{Transport: transport}
}
