package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// HTTPConfig is where the server listens.
type HTTPConfig struct {
	Listen  string `env:"LISTEN_ADDR" envDefault:"127.0.0.1:8080" doc:"HTTP and WebSocket"`
	Metrics string `env:"METRICS_ADDR" doc:"where set, /metrics and /debug are served there, and not on LISTEN_ADDR"`
	TLSCert string `env:"TLS_CERT_FILE" doc:"PEM certificate chain; with TLS_KEY_FILE the server speaks TLS itself"`
	TLSKey  string `env:"TLS_KEY_FILE" doc:"PEM private key of TLS_CERT_FILE"`
}

// The limits of a connection before it is somebody's. Writes have none: sockets live long, and the hub bounds its own.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeader         = 16 << 10
	shutdownGrace     = 10 * time.Second
)

// Validate names addresses that are none, and half of a certificate.
func (c HTTPConfig) Validate() []error {
	var wrong []error
	for _, a := range []struct{ name, holds string }{{"LISTEN_ADDR", c.Listen}, {"METRICS_ADDR", c.Metrics}} {
		if _, _, err := net.SplitHostPort(a.holds); a.holds != "" && err != nil {
			wrong = append(wrong, wrongSetting(a.name, a.holds, "host:port"))
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		wrong = append(wrong, errors.New("TLS_CERT_FILE and TLS_KEY_FILE belong together: set both, or neither"))
	}
	return wrong
}

// scheme is what browsers write before LISTEN_ADDR.
func (c HTTPConfig) scheme() string {
	if c.TLSCert != "" {
		return "https"
	}
	return "http"
}

// listener is one address with its handler.
type listener struct {
	net.Listener
	server *http.Server
}

func listen(addr string, handler http.Handler, log *slog.Logger) (*listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return &listener{Listener: ln, server: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

// secure makes the listener speak TLS where the settings name a certificate. HTTP/2 is off: a
// WebSocket upgrade needs HTTP/1.1, and the dashboard's few requests gain nothing from more.
func (l *listener) secure(cfg HTTPConfig) error {
	if cfg.TLSCert == "" && cfg.TLSKey == "" {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return fmt.Errorf("TLS_CERT_FILE and TLS_KEY_FILE: %w", err)
	}
	l.Listener = tls.NewListener(l.Listener, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	return nil
}

// serve answers until ctx ends, then lets requests under way finish.
func (l *listener) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		_ = l.server.Shutdown(grace) // what is left after the grace is cut by the process's end
	})
	defer stop()
	if err := l.server.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
