package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rosetree/auth"
	"rosetree/hub"
	"rosetree/internal/api"
	"rosetree/portfolio"
	"rosetree/web"
)

// publicRoutes is what LISTEN_ADDR serves.
func publicRoutes(callers *auth.Auth, all operations, portfolios *portfolio.Service, sockets *hub.Hub, notices *hub.Notices, health *readiness) *http.ServeMux {
	mux := http.NewServeMux()
	health.routes(mux)
	callers.Routes(mux)
	all.mount(mux, callers.Authenticate)
	portfolios.Routes(mux, callers.Authenticate)
	sockets.Routes(mux)
	notices.Routes(mux)
	mux.Handle("/", web.Handler())
	return mux
}

// operatorRoutes is what METRICS_ADDR serves: Prometheus, two bare numbers for scripts, the hub's self-check, and the
// drain that only METRICS_ADDR has (LISTEN_ADDR mounts what is read).
func operatorRoutes(reg *prometheus.Registry, callers *auth.Auth, sockets *hub.Hub, health *readiness) *http.ServeMux {
	mux := http.NewServeMux()
	sockets.CheckRoutes(mux)
	sockets.MoveRoute(mux, health.draining.Store)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg}))
	mux.HandleFunc("GET /metrics/auth-error-rate", bare(func() float64 { return 100 * callers.ErrorRate() }))
	mux.HandleFunc("GET /metrics/session-latency-p95", bare(func() float64 { return float64(callers.LatencyP95()) / float64(time.Millisecond) }))
	return mux
}

// bare answers a number and nothing else, as shell scripts compare it.
func bare(read func() float64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprintf(w, "%.3f\n", read())
	}
}

// listenAll opens what the settings name. Without METRICS_ADDR the operator's routes stand on LISTEN_ADDR, for
// programs on this machine and for admins; for anybody else they do not exist.
func listenAll(cfg HTTPConfig, public, operator *http.ServeMux, callers *auth.Auth, log *slog.Logger) ([]*listener, addresses, error) {
	if cfg.Metrics == "" {
		for _, path := range []string{"/metrics", "/metrics/", "/debug/"} {
			public.Handle("GET "+path, localOrAdmin(operator, callers))
		}
	}
	first, err := listen(cfg.Listen, api.Requests(log, public), log)
	if err != nil {
		return nil, addresses{}, err
	}
	if err := first.secure(cfg); err != nil {
		first.Close()
		return nil, addresses{}, err
	}
	at := addresses{url: cfg.scheme() + "://" + first.Addr().String()}
	at.metrics = at.url + "/metrics"
	if cfg.Metrics == "" {
		return []*listener{first}, at, nil
	}
	second, err := listen(cfg.Metrics, api.Requests(log, operator), log)
	if err != nil {
		first.Close()
		return nil, addresses{}, err
	}
	at.metrics = "http://" + second.Addr().String() + "/metrics"
	return []*listener{first, second}, at, nil
}

func localOrAdmin(next http.Handler, callers *auth.Auth) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r) {
			if p, err := callers.Authenticate(r); err != nil || p.Role != auth.RoleAdmin {
				api.WriteProblem(w, r, api.NotFound(r.URL.Path))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// local is true for a program on this machine that no proxy stands before.
func local(r *http.Request) bool {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	addr, err := netip.ParseAddr(host)
	forwarded := r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != ""
	return err == nil && addr.IsLoopback() && !forwarded
}
