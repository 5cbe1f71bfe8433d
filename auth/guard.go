package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// The guard rolls back by itself when the session path fails or is slow because of us. What clients do wrong never counts,
// or guessing passwords would turn the switch. It only ever goes back; forward again is a person's decision.
const (
	guardEvery    = time.Second
	guardAttempts = 200 // in the last minute: fewer say nothing about a share
	guardErrors   = 1.0 // per cent
	guardP95      = 10 * time.Millisecond
	guardSlowFor  = 30 * time.Second // a slow minute's end is no reason, half a slow minute is

	guardProbe   = 100 * time.Millisecond // how often the guard feels whether this machine has time for us
	guardStarved = guardP95 / 2           // its own timers are that late (p95): then what is slow is not the session path
)

// GuardDecision is what the guard decided last, and on what grounds.
type GuardDecision struct {
	At        time.Time `json:"at"`
	Server    string    `json:"server"`
	Cause     string    `json:"cause"` // "error_rate" or "latency"
	Attempts  int       `json:"attempts"`
	ErrorRate float64   `json:"error_rate"` // per cent of the last minute's attempts that failed because of us
	P95       float64   `json:"p95_ms"`
	Late      float64   `json:"late_p95_ms"` // how late the server's own timers were: the part of it that is the machine's
}

type guard struct {
	// fixed after newGuard
	window    *window // of the session path alone: a failing legacy path is no reason to go back to it
	switches  *rollout
	server    string
	log       *slog.Logger
	rollbacks prometheus.Counter

	slowSince time.Time // owned by run
	late      lateness  // owned by run
}

func newGuard(w *window, switches *rollout, server string, log *slog.Logger, reg prometheus.Registerer) *guard {
	g := &guard{window: w, switches: switches, server: server, log: log, rollbacks: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "rosetree_auth_guard_rollbacks_total", Help: "Automatic rollbacks by this server's guard."})}
	reg.MustRegister(g.rollbacks)
	return g
}

func (g *guard) run(ctx context.Context) error {
	next := time.Now().Add(guardEvery)
	for {
		asked := time.Now()
		select {
		case <-time.After(guardProbe):
		case <-ctx.Done():
			return nil
		}
		g.late.note(time.Since(asked) - guardProbe)
		if time.Now().Before(next) {
			continue
		}
		next = time.Now().Add(guardEvery)
		g.look(ctx)
	}
}

func (g *guard) look(ctx context.Context) {
	switches, err := g.switches.now()
	if err != nil || !switches.canRollBack() {
		g.slowSince = time.Time{}
		g.window.forget() // or the failures before a person went forward would turn the switch back at once
		return
	}
	if d, bad := g.judge(g.window.health(), g.late.p95(), time.Now()); bad {
		g.rollBack(ctx, d, switches.Version)
	}
}

// lateness is how late the timers of the last minute were.
type lateness struct {
	all  [time.Minute / guardProbe]time.Duration
	next int
}

func (l *lateness) note(d time.Duration) {
	l.all[l.next%len(l.all)] = d
	l.next++
}

func (l *lateness) p95() time.Duration {
	n := min(l.next, len(l.all))
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l.all[:n]))
	return sorted[(n*95-1)/100]
}

// canRollBack: there must be something to go back from, and to.
func (s Switches) canRollBack() bool {
	return s.NewAuth && s.Percentage > 0 && !s.Rollback && s.LegacyEnabled
}

// judge: an error is an error on any machine. Latency counts only while the machine gives this process time: where its own timers
// are late, everything is slow, and the other path would be too.
func (g *guard) judge(h health, late time.Duration, now time.Time) (GuardDecision, bool) {
	d := GuardDecision{At: now.UTC(), Server: g.server, Attempts: h.Attempts, ErrorRate: h.ErrorRate,
		P95: float64(h.P95) / float64(time.Millisecond), Late: float64(late) / float64(time.Millisecond)}
	if h.Attempts < guardAttempts {
		g.slowSince = time.Time{}
		return d, false
	}
	if h.ErrorRate > guardErrors {
		d.Cause = "error_rate"
		return d, true
	}
	if h.P95 <= guardP95 || late > guardStarved {
		g.slowSince = time.Time{}
		return d, false
	}
	if g.slowSince.IsZero() {
		g.slowSince = now
	}
	d.Cause = "latency"
	return d, now.Sub(g.slowSince) >= guardSlowFor
}

// rollBack turns the switch for all servers, unless somebody has turned one meanwhile.
func (g *guard) rollBack(ctx context.Context, d GuardDecision, version int64) {
	err := g.switches.rollBack(ctx, d, version)
	if errors.Is(err, errRolloutMoved) {
		return
	}
	if err != nil {
		g.log.Error("guard: the session path fails and the switch cannot be turned", "cause", err)
		return
	}
	g.slowSince = time.Time{}
	g.rollbacks.Inc()
	g.log.Error("guard: rolled back to the legacy path; forward again is a person's decision", "cause", d.Cause, "error_rate", d.ErrorRate, "p95_ms", d.P95, "late_p95_ms", d.Late, "attempts", d.Attempts)
}

const updateGuard = `UPDATE app.rollout SET version = version + 1, rollback = true, guard = $1, reason = $2, actor = 'guard', at = clock_timestamp()
	WHERE version = $3 RETURNING version`

func (r *rollout) rollBack(ctx context.Context, d GuardDecision, version int64) error {
	decision, err := json.Marshal(d)
	if err != nil {
		return err
	}
	err = r.rows.Tx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, updateGuard, decision, "automatic: "+d.Cause, version)
		if err != nil {
			return fmt.Errorf("auth: roll back: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errRolloutMoved
		}
		var b pgx.Batch
		AuditEntry{Actor: "guard", Action: "rollout.rollback", Outcome: "ok", Detail: map[string]any{"decision": d}}.Queue(&b)
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return err
	}
	return r.refresh(ctx)
}
