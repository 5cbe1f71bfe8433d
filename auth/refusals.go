package auth

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"rosetree/internal/api"
)

const (
	refusalWindow = time.Minute // the same refusal is at most two lines in this time: the first, and how often it came again
	refusalKinds  = 200         // different refusals in a window that have lines of their own; what is beyond is counted by action
)

// refusals writes into the audit log what was refused. Strangers cause refusals at will, and the log is append-only: so a server
// writes at most about 400 lines of them in a minute, whatever comes, and says how many a line stands for.
type refusals struct {
	// fixed after newRefusals
	note   func(context.Context, AuditEntry)
	queued chan AuditEntry // lines that an answer does not wait for

	mu   sync.Mutex
	seen map[refusal]*repeated // guarded by mu
}

// refusal is who was refused what, from where and why. Addresses count by their prefix, or a network would have lines without end.
type refusal struct{ action, actor, from, why string }

type repeated struct {
	began time.Time
	line  AuditEntry
	again int
}

func newRefusals(note func(context.Context, AuditEntry)) *refusals {
	return &refusals{note: note, queued: make(chan AuditEntry, 2*refusalKinds), seen: map[refusal]*repeated{}}
}

// add notes a refusal: at once where it is the first of its kind in the window, with others later where it is not.
func (rf *refusals) add(ctx context.Context, line AuditEntry, why string) {
	if rf.isFirst(&line, why, time.Now()) {
		rf.note(ctx, line)
	}
}

// addUnseen is add for a log-in: strangers to us share a line, and users have their own, so that an answer which waited for it would
// tell by its time who has an account.
func (rf *refusals) addUnseen(ctx context.Context, line AuditEntry, why string) {
	if !rf.isFirst(&line, why, time.Now()) {
		return
	}
	select {
	case rf.queued <- line:
	default: // PostgreSQL is away, or slow, for everybody
		rf.note(ctx, line)
	}
}

func (rf *refusals) isFirst(line *AuditEntry, why string, now time.Time) bool {
	line.Outcome = "refused"
	if line.Detail == nil {
		line.Detail = map[string]any{}
	}
	line.Detail["why"] = why
	key := refusal{line.Action, line.Actor, line.IP, why}
	if ip, err := netip.ParseAddr(line.IP); err == nil {
		key.from = prefix(ip)
	}
	rf.mu.Lock()
	defer rf.mu.Unlock()
	if rf.seen[key] == nil && len(rf.seen) >= refusalKinds {
		key = refusal{action: line.Action, actor: "many"}
		line.Actor, line.Subject, line.IP, line.Detail = "many", "", "", map[string]any{}
	}
	if r := rf.seen[key]; r != nil {
		r.again++
		return false
	}
	rf.seen[key] = &repeated{began: now, line: *line}
	return true
}

// run writes how often refusals came again, and the last ones when ctx ends.
func (rf *refusals) run(ctx context.Context) error {
	tick := time.NewTicker(refusalWindow / 10)
	defer tick.Stop()
	for {
		select {
		case line := <-rf.queued:
			rf.note(ctx, line)
		case <-tick.C:
			rf.flush(ctx, time.Now().Add(-refusalWindow))
		case <-ctx.Done():
			rf.flush(context.WithoutCancel(ctx), time.Now())
			return nil
		}
	}
}

func (rf *refusals) flush(ctx context.Context, until time.Time) {
	for range len(rf.queued) {
		select {
		case line := <-rf.queued:
			rf.note(ctx, line)
		default:
		}
	}
	for _, r := range rf.over(until) {
		r.line.Detail = map[string]any{"why": r.line.Detail["why"], "again": r.again, "since": r.began.UTC()}
		rf.note(ctx, r.line)
	}
}

// over takes out the windows that began until a moment; those in which nothing came again need no line.
func (rf *refusals) over(until time.Time) (all []*repeated) {
	rf.mu.Lock()
	defer rf.mu.Unlock()
	for key, r := range rf.seen {
		if r.began.After(until) {
			continue
		}
		delete(rf.seen, key)
		if r.again > 0 {
			all = append(all, r)
		}
	}
	return all
}

// refused notes an answer that refuses. What was only badly asked for, and our own failures, are no refusals.
func (a *Auth) refused(ctx context.Context, action string, who UserID, ip string, err error) {
	if why := refusalOf(err); why != "" {
		a.refusals.add(ctx, AuditEntry{Actor: orElse(string(who), "unknown"), Action: action, IP: ip}, why)
	}
}

func refusalOf(err error) (why string) {
	if err == nil {
		return ""
	}
	switch p := api.ProblemOf(err); p.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests:
		return p.Code
	}
	return ""
}

// adminOnly is RequireAdmin for an operation whose refusals stand in the audit log.
func (a *Auth) adminOnly(action string) func(Principal) (Principal, error) {
	return func(p Principal) (Principal, error) {
		p, err := RequireAdmin(p)
		a.refused(context.Background(), action, p.User, p.IP, err)
		return p, err
	}
}
