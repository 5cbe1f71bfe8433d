package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// Switches are the rollout's state as this server follows it.
type Switches struct {
	Version       int64   `json:"version"`
	NewAuth       bool    `json:"enabled"`
	Percentage    float64 `json:"percentage"`
	Rollback      bool    `json:"rollback"`
	Lockdown      bool    `json:"lockdown"`
	LegacyEnabled bool    `json:"legacy_enabled"`

	lists *cohortLists
}

// Mode is one word for what log-ins get.
func (s Switches) Mode() string {
	switch {
	case s.Lockdown:
		return "lockdown"
	case !s.LegacyEnabled:
		return "sessions"
	case s.Rollback:
		return "rollback"
	case !s.NewAuth || s.Percentage == 0 && len(s.listed().always) == 0:
		return "legacy"
	case s.Percentage < 100 || len(s.listed().never) > 0:
		return "partial"
	}
	return "full"
}

// Override is what somebody set at run time; nil means: as the environment says.
type Override struct {
	NewAuth       *bool    `json:"enabled,omitempty"`
	Percentage    *float64 `json:"percentage,omitempty"`
	Rollback      *bool    `json:"rollback,omitempty"`
	Lockdown      *bool    `json:"lockdown,omitempty"`
	LegacyEnabled *bool    `json:"legacy_enabled,omitempty"`

	// Users who get a session whatever the percentage, and who get none. A list that is set replaces the one that was.
	Always *[]UserID `json:"always,omitempty"`
	Never  *[]UserID `json:"never,omitempty"`
}

// RolloutState is everything about the switches, for who may turn them.
type RolloutState struct {
	Effective   Switches       `json:"effective"`
	Environment Switches       `json:"environment"`
	Override    Override       `json:"override"`
	Reason      string         `json:"reason"`
	Actor       string         `json:"actor"`
	At          time.Time      `json:"at"`
	Guard       *GuardDecision `json:"guard"` // the last one; null where there was none
}

// rollout follows the row in PostgreSQL that holds the switches.
type rollout struct {
	// fixed after newRollout
	rows Rows
	env  Switches
	log  *slog.Logger
	met  *metrics

	state  atomic.Pointer[RolloutState] // nil until the row was read once
	mu     sync.Mutex
	change []func(old, now Switches) // guarded by mu
}

var errStarting = api.Unavailable("the server is starting; try again", time.Second)

// rolloutPoll is how late a change is known where no notification comes.
const rolloutPoll = 400 * time.Millisecond

func newRollout(rows Rows, c Config, log *slog.Logger, met *metrics) *rollout {
	return &rollout{rows: rows, log: log, met: met, env: Switches{NewAuth: c.NewAuthEnabled, Percentage: c.NewAuthPercentage,
		Rollback: c.RollbackMode, Lockdown: c.SecurityLockdown, LegacyEnabled: c.LegacyAuthEnabled, lists: &cohortLists{}}}
}

// now are the switches in force. Until the row was read nothing is known: a lockdown must survive a restart.
func (r *rollout) now() (Switches, error) {
	s := r.state.Load()
	if s == nil {
		return Switches{}, errStarting
	}
	return s.Effective, nil
}

// onChange calls fn after each change, from the goroutine that saw it.
func (r *rollout) onChange(fn func(old, now Switches)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.change = append(r.change, fn)
}

// run reads the row until ctx ends: at once when wake says so, and otherwise by the clock.
func (r *rollout) run(ctx context.Context, wake <-chan struct{}) error {
	for {
		if err := r.refresh(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("rollout: the switches cannot be read; the last ones stay in force", "cause", err)
		}
		select {
		case <-wake:
		case <-time.After(rolloutPoll):
		case <-ctx.Done():
			return nil
		}
	}
}

const selectRollout = `SELECT version, enabled, percentage::float8, rollback, lockdown, legacy_enabled, reason, actor, at, guard,
	array(SELECT unnest(always_users)::text), array(SELECT unnest(never_users)::text) FROM app.rollout`

func (r *rollout) refresh(ctx context.Context) error {
	s := RolloutState{Environment: r.env, Effective: r.env}
	var b pgx.Batch
	b.Queue(selectRollout).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := s.scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err := r.rows.Do(ctx, &b); err != nil {
		return err
	}
	r.adopt(&s)
	return nil
}

func (s *RolloutState) scan(row pgx.Row) error {
	var guard []byte
	o, lists := &s.Override, &cohortLists{}
	if err := row.Scan(&s.Effective.Version, &o.NewAuth, &o.Percentage, &o.Rollback, &o.Lockdown, &o.LegacyEnabled, &s.Reason, &s.Actor, &s.At, &guard,
		&lists.always, &lists.never); err != nil {
		return err
	}
	if len(guard) > 2 { // not {}
		if err := json.Unmarshal(guard, &s.Guard); err != nil {
			return err
		}
	}
	s.Effective.lists, o.Always, o.Never = lists, overrideOf(lists.always), overrideOf(lists.never)
	overrule(&s.Effective.NewAuth, o.NewAuth)
	overrule(&s.Effective.Percentage, o.Percentage)
	overrule(&s.Effective.Rollback, o.Rollback)
	overrule(&s.Effective.Lockdown, o.Lockdown)
	overrule(&s.Effective.LegacyEnabled, o.LegacyEnabled)
	return nil
}

func overrule[T any](value *T, by *T) {
	if by != nil {
		*value = *by
	}
}

func (r *rollout) adopt(s *RolloutState) {
	r.mu.Lock()
	old := r.state.Load()
	if old != nil && old.Effective.Version > s.Effective.Version {
		r.mu.Unlock()
		return // two reads overtook each other
	}
	if old != nil && old.Effective.lists.equal(s.Effective.lists) {
		s.Effective.lists = old.Effective.lists // so that equal switches are equal
	}
	r.state.Store(s)
	told := r.change
	r.mu.Unlock()
	r.met.follow(s.Effective)
	if old == nil || old.Effective == s.Effective {
		return
	}
	r.log.Info("rollout: switched", "version", s.Effective.Version, "mode", s.Effective.Mode(), "percentage", s.Effective.Percentage, "actor", s.Actor)
	for _, fn := range told {
		fn(old.Effective, s.Effective)
	}
}

// share is the part of users, in per cent, whose log-ins get a session.
func (s Switches) share() float64 {
	switch {
	case !s.LegacyEnabled:
		return 100
	case !s.NewAuth || s.Rollback:
		return 0
	}
	return s.Percentage
}

const updateRollout = `UPDATE app.rollout SET version = version + 1, enabled = $1, percentage = $2, rollback = $3, lockdown = $4,
	legacy_enabled = $5, reason = $6, actor = $7, always_users = $9::text[]::uuid[], never_users = $10::text[]::uuid[], at = clock_timestamp() WHERE ($8::bigint = 0 OR version = $8) RETURNING version`

// errRolloutMoved: somebody else turned a switch since the caller looked.
var errRolloutMoved = api.Conflict("the switches were changed meanwhile; look again")

// set turns the switches that change names and leaves the others. expect is the version that the caller has seen; 0 means any.
func (r *rollout) set(ctx context.Context, change Override, reason string, actor string, ip string, expect int64) error {
	if p := change.Percentage; p != nil && !(*p >= 0 && *p <= 100) {
		return api.Invalid("percentage", "must be a number from 0 to 100")
	}
	return r.write(ctx, reason, actor, ip, expect, func(o *Override) {
		keep(&o.NewAuth, change.NewAuth)
		keep(&o.Percentage, change.Percentage)
		keep(&o.Rollback, change.Rollback)
		keep(&o.Lockdown, change.Lockdown)
		keep(&o.LegacyEnabled, change.LegacyEnabled)
		keep(&o.Always, change.Always)
		keep(&o.Never, change.Never)
	})
}

func keep[T any](to **T, value *T) {
	if value != nil {
		*to = value
	}
}

// reset goes back to what the environment says.
func (r *rollout) reset(ctx context.Context, reason, actor, ip string) error {
	return r.write(ctx, reason, actor, ip, 0, func(o *Override) { *o = Override{} })
}

// write changes the row and the audit log in one transaction, and follows the change on this server before it returns.
func (r *rollout) write(ctx context.Context, reason, actor, ip string, expect int64, edit func(*Override)) error {
	err := r.rows.Tx(ctx, func(tx pgx.Tx) error {
		var s RolloutState
		if err := s.scan(tx.QueryRow(ctx, selectRollout+` FOR UPDATE`)); err != nil {
			return fmt.Errorf("auth: read switches: %w", err)
		}
		before := s.Override
		edit(&s.Override)
		if expect != 0 && expect != s.Effective.Version {
			return errRolloutMoved
		}
		o := s.Override
		if err := o.checkLists(); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, updateRollout, o.NewAuth, o.Percentage, o.Rollback, o.Lockdown, o.LegacyEnabled, reason, actor, expect, listOf(o.Always), listOf(o.Never)); err != nil {
			return fmt.Errorf("auth: write switches: %w", err)
		}
		var b pgx.Batch
		AuditEntry{Actor: actor, Action: "rollout.set", IP: ip, Outcome: "ok",
			Detail: map[string]any{"from": before, "to": o, "reason": reason}}.Queue(&b)
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return err
	}
	return r.refresh(ctx)
}
