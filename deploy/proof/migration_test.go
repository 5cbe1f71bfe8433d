package proof

import (
	"context"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTheMigrationIsRehearsed carries out the plan by the scripts of deploy/migration, under load. Short in make test; as long as a
// person likes with ROSETREE_REHEARSAL=30s (how long each phase is watched), which also judges latencies: make rehearse.
func TestTheMigrationIsRehearsed(t *testing.T) {
	r := newRehearsal(t)
	verdict := newVerdicts(t)
	end := r.begin()
	defer end()

	r.watch("legacy only")
	r.paused.Store(true)
	r.step("3-rollout.sh", "10")
	r.modes("partial")
	r.watch("10 %")
	r.step("3-rollout.sh", "50")
	r.watch("50 %")
	r.step("3-rollout.sh", "100")
	r.modes("full")
	r.watch("100 %")
	before, loginsBefore := r.errors()
	p95 := r.worst("/metrics/session-latency-p95")
	revoked := r.revocation()

	for _, again := range []string{"", "again: "} {
		out, _ := r.step("4-sessions.sh")
		r.line.say("%s%s", again, strings.Join(strings.Fields(out), " "))
	}
	r.paused.Store(false)
	guarded := r.guard()
	r.watch("rolled back by the guard")
	r.step("forward.sh")
	r.modes("full")
	r.watch("forward again")
	_, took := r.step("rollback.sh")
	manual := took + r.modes("rollback")
	r.watch("rolled back by hand")
	r.step("forward.sh")
	r.modes("full")
	r.watch("forward again")
	legacy, sessions := r.settled()
	accepted := presents(r.servers[0].url, r.oldToken)

	r.program.end()
	r.line.say("the old program is switched off")
	r.step("5-remove-legacy.sh", "--yes")
	r.modes("sessions")
	r.roll("LEGACY_AUTH_ENABLED=false", "NEW_AUTH_ENABLED=true", "NEW_AUTH_PERCENTAGE=100")
	r.watch("sessions only")
	end()
	for _, v := range r.visitors {
		v.look(t.Context())
	}

	rec := r.rec
	requests := 0
	for kind, n := range rec.counts {
		if kind != "price" && kind != "first data" && kind != "portfolio sync" && kind != "exchange put off" && !strings.HasPrefix(kind, "socket") && !strings.HasPrefix(kind, "statement") {
			requests += n
		}
	}
	verdict.row("zero user-facing downtime", "0 failed", len(rec.failures) == 0, "%d of %d requests failed, none was tried again; %d exchanges put off", len(rec.failures), requests, rec.counted("exchange put off"))
	verdict.row("no socket lost beyond announced drains", "0 lost", len(rec.lost) == 0, "%d of %d lost; sent away and back: %d for the path, %d for the deploy", len(rec.lost),
		rec.counted("socket opened"), rec.counted("socket sent away: auth_path_switched"), rec.counted("socket sent away: restart"))
	verdict.row("complete data isolation", "0 wrong rows", len(rec.wrong) == 0, "%d wrong in %d reads; self-test passed after each step", len(rec.wrong), rec.counted("ledger read"))
	verdict.row("error rate", "under 0.1 %", before < 0.1, "%.3f %% of the last minute at 100 %%", before)
	verdict.row("log-in success", "over 99.5 %", loginsBefore > 99.5, "%.2f %% of %d", loginsBefore, rec.counted("log-in"))
	verdict.latency("session validation (p95)", 5*time.Millisecond, time.Duration(p95*float64(time.Millisecond)), strconv.FormatFloat(p95, 'f', 1, 64)+" ms, the worst server's last minute at 100 %")
	verdict.latency("revocation", time.Second, revoked, revoked.Round(time.Millisecond).String()+" from the request to the closed socket")
	verdict.row("backwards compatibility", "0 failed", accepted == 200 && !strings.Contains(strings.Join(rec.failures, "\n"), "the old program"),
		"%d statements of the old program, before, during and after 001; a legacy token gets %d until the end", rec.counted("statement of the old program"), accepted)
	verdict.row("rollback by hand", "within 30 s", manual < 30*time.Second, "%v from the command to the last server", manual.Round(10*time.Millisecond))
	verdict.row("rollback by the guard", "by itself", true, "%v after the fault began, on all servers", guarded.Round(10*time.Millisecond))
	verdict.row("all users migrated", "all", legacy == 0, "%d of %d by session before the legacy path went", sessions, sessions+legacy)
	status := presents(r.servers[0].url, r.oldToken)
	health, _ := r.servers[0].get("/api/health/auth-legacy")
	verdict.row("legacy path removed", "gone", status == 401 && health == 503 && ask(t, r.db.OwnerURL, "SELECT count(*) FROM pg_roles WHERE rolname = 'rosetree_legacy'") == "0",
		"a legacy token gets %d, its health %d, role rosetree_legacy dropped", status, health)
	for _, of := range []struct {
		criterion, kind string
		limit           time.Duration
	}{
		{"a write to the other device (p95)", "portfolio sync", 100 * time.Millisecond},
		{"prices to the client (p95)", "price", 50 * time.Millisecond},
		{"log-in (p95)", "log-in", 2 * time.Second},
		{"socket with its first data (p95)", "first data", time.Second},
	} {
		l := rec.cut(of.kind)
		verdict.latency(of.criterion, of.limit, l.quantile(.95), l.String())
	}
	t.Log("\n" + verdict.String())
}

// errors is the worst server's error rate of the last minute and the share of log-ins that succeeded, both in per cent.
func (r *rehearsal) errors() (rate, logins float64) {
	ok, failed := 0.0, 0.0
	for _, s := range r.servers {
		ok += s.metric(`rosetree_auth_logins_total{result="ok"}`)
		failed += s.metric(`rosetree_auth_logins_total{result="failed"}`)
	}
	return r.worst("/metrics/auth-error-rate"), 100 * ok / max(1, ok+failed)
}

// worst is the largest of the servers' bare numbers.
func (r *rehearsal) worst(path string) (worst float64) {
	for _, s := range r.servers {
		_, text := s.get(path)
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			r.t.Fatalf("%s%s: %q", s.url, path, text)
		}
		worst = math.Max(worst, n)
	}
	return worst
}

// revocation is how long it takes from a user's request to end another device's session until that device's socket is closed.
func (r *rehearsal) revocation() time.Duration {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	phone := newVisitor(r.t, newRecord(), r.visitors[0].front, r.visitors[0].email, goodPassword)
	phone.login(ctx)
	phone.adopt(ctx)
	ws := phone.dial(ctx)
	if ws == nil {
		r.t.Fatal("the phone has no socket")
	}
	defer ws.CloseNow()
	return phone.untilClosed(ctx, ws)
}

// settled waits until everybody has a session, as their pages exchange what they hold.
func (r *rehearsal) settled() (legacy, session int) {
	for deadline := time.Now().Add(time.Minute); ; rest(r.t.Context(), 500*time.Millisecond) {
		if legacy, session = r.paths(); legacy == 0 || time.Now().After(deadline) {
			r.line.say("%d browsers hold a session, %d a legacy token", session, legacy)
			return legacy, session
		}
	}
}
