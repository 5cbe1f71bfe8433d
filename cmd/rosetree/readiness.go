package main

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"rosetree/auth"
	"rosetree/internal/api"
)

// checkTimeout bounds one check, so that a frozen dependency shows as down and not as a hanging probe.
const checkTimeout = 2 * time.Second

// dependency is something that the server needs; ask finds out whether it works right now.
type dependency struct {
	name     string
	required bool // without it the server cannot do its job: "down" rather than "degraded"
	ask      func(context.Context) error
}

// readiness answers the health family. Anyone may ask, so it says which part fails and never why: the log does.
type readiness struct {
	checks   []dependency
	draining atomic.Bool // set on SIGTERM: balancers send nobody new while sockets are being moved
	failed   func(name string, err error)
}

// newReadiness asks for what every answer needs.
func newReadiness(db *auth.DB, rdb redis.UniversalClient, log *slog.Logger) *readiness {
	return &readiness{
		checks: []dependency{
			{"database", true, func(ctx context.Context) error { return askDatabase(ctx, db) }},
			{"redis", false, func(ctx context.Context) error { return rdb.Ping(ctx).Err() }},
		},
		failed: func(name string, err error) { log.Warn("health", "check", name, "error", err) },
	}
}

// askDatabase goes the way of every query: pool, signed context, row security.
func askDatabase(ctx context.Context, db *auth.DB) error {
	var b pgx.Batch
	b.Queue("select 1")
	return db.Service(auth.ServiceAuth).Do(ctx, &b)
}

type health struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"`
}

func (h *readiness) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/health", h.answer)
	mux.HandleFunc("GET /api/health/ready", h.answer)
	mux.HandleFunc("GET /api/health/live", func(w http.ResponseWriter, _ *http.Request) {
		api.WriteJSON(w, http.StatusOK, health{Status: "ok", Checks: map[string]string{}})
	})
}

func (h *readiness) answer(w http.ResponseWriter, r *http.Request) {
	result := h.ask(r.Context())
	status := http.StatusOK
	if result.Status == "down" {
		status = http.StatusServiceUnavailable
	}
	api.WriteJSON(w, status, result)
}

// ask runs all checks side by side.
func (h *readiness) ask(ctx context.Context) health {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	result := health{Status: "ok", Checks: make(map[string]string, len(h.checks))}
	var mu sync.Mutex
	var g errgroup.Group
	for _, c := range h.checks {
		g.Go(func() error {
			err := c.ask(ctx)
			mu.Lock()
			defer mu.Unlock()
			result.add(c, err)
			if err != nil {
				h.failed(c.name, err)
			}
			return nil
		})
	}
	_ = g.Wait() // no check returns an error: each is part of the result
	if h.draining.Load() {
		result.Status, result.Checks["server"] = "down", "draining"
	}
	return result
}

func (r *health) add(c dependency, err error) {
	switch {
	case err == nil:
		r.Checks[c.name] = "ok"
	case c.required:
		r.Checks[c.name], r.Status = "down", "down"
	default:
		r.Checks[c.name] = "down"
		if r.Status == "ok" {
			r.Status = "degraded"
		}
	}
}
