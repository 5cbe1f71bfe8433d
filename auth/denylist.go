package auth

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// revocation is one row of the ledger: what stopped counting, and from when.
type revocation struct {
	ID        int64
	Kind      Kind
	Subject   string    // a session's or token's id, or a user's; "" where Kind is KindAll
	Keep      SessionID // of Kind user: the one session that stays
	NotBefore time.Time // of kinds user, before and all: what was issued until then is revoked
	Reason    string    // an EndReason, and after ": " what a person wrote, after ":: " what they wrote for those whose sessions end
	Actor     string    // "admin:<id>", "user:<id>", "system", …
	At        time.Time
	Until     time.Time // after it nothing that this row revokes can be alive
	IP        string    // where it was asked for; the ledger keeps it in the audit log
}

// line tells the audit log of r. Late: PostgreSQL was away when it took effect.
func (r *revocation) line(late bool) AuditEntry {
	as, user, isUser := strings.Cut(r.Actor, ":")
	detail := map[string]any{"kind": r.Kind, "reason": r.Reason, "keep": r.Keep, "as": as}
	if e := r.end(); e.Said != "" {
		detail["reason"], detail["told"] = string(e.Reason)+": "+e.Said, true
	}
	if late {
		detail["took_effect"] = r.At.UTC()
	}
	if !isUser {
		user = as
	}
	return AuditEntry{Actor: user, Action: "session.revoke", Subject: r.Subject, IP: r.IP, Outcome: "ok", Detail: detail}
}

// Kind is what a revocation is about.
type Kind string

const (
	KindSession Kind = "sid"    // one session, or a legacy token's session
	KindToken   Kind = "jti"    // one legacy token
	KindUser    Kind = "user"   // everything that a user holds, perhaps but one session
	KindBefore  Kind = "before" // what a user was issued until a moment
	KindAll     Kind = "all"    // what anybody was issued until a moment
)

// end is what the sockets of a revoked session are told. A reason that a person wrote into the table by hand means
// an ordinary revocation.
func (r *revocation) end() End {
	e := End{Reason: EndRevoked, At: r.At}
	code, _, _ := strings.Cut(r.Reason, ":")
	switch reason := EndReason(code); reason {
	case EndRevoked, EndExpired, EndSignedOut, EndLockedDown, EndReplaced, EndRoleChanged:
		e.Reason = reason
		if said, is := strings.CutPrefix(r.Reason, code+tellMark); is {
			e.Said = said
		}
	}
	e.By, _, _ = strings.Cut(r.Actor, ":")
	return e
}

// covers says whether r revokes what p holds. What has no known time of issue counts as issued too early.
func (r *revocation) covers(p Principal) bool {
	switch r.Kind {
	case KindSession, KindToken:
		return r.Subject == string(p.Session)
	case KindUser, KindBefore:
		return r.Subject == string(p.User) && (r.Keep == "" || r.Keep != p.Session) && !p.IssuedAt.After(r.NotBefore)
	case KindAll:
		return !p.IssuedAt.After(r.NotBefore)
	}
	return false
}

// denylist is the ledger in memory. Every validation asks it, so that neither a stale replica nor a restored
// Redis brings back what was revoked.
type denylist struct {
	ready atomic.Bool // the ledger has been read: until then nobody is let in

	mu     sync.RWMutex
	ids    map[string]*revocation   // guarded by mu: kinds sid and jti
	users  map[UserID][]*revocation // guarded by mu: kinds user and before
	all    []*revocation            // guarded by mu
	rows   map[int64]bool           // guarded by mu: ids that have been added
	byTime map[int64][]*revocation  // guarded by mu: by the minute of Until, so that forgetting is cheap
}

func newDenylist() *denylist {
	return &denylist{ids: map[string]*revocation{}, users: map[UserID][]*revocation{}, rows: map[int64]bool{}, byTime: map[int64][]*revocation{}}
}

// check says whether p is revoked, and how that is told.
func (d *denylist) check(p Principal) (End, bool) {
	if !d.ready.Load() {
		return End{Reason: EndUnavailable, By: "system", At: time.Now()}, true
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if r := d.ids[string(p.Session)]; r != nil {
		return r.end(), true
	}
	for _, r := range d.users[p.User] {
		if r.covers(p) {
			return r.end(), true
		}
	}
	for _, r := range d.all {
		if r.covers(p) {
			return r.end(), true
		}
	}
	return End{}, false
}

// issueTime is now, or later where a revocation of everything before a moment would reach what user gets now:
// clocks of servers differ, and a log-in right after "end all my sessions" must hold.
func (d *denylist) issueTime(user UserID, now time.Time) time.Time {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, r := range slices.Concat(d.users[user], d.all) {
		if !now.After(r.NotBefore) && r.NotBefore.Sub(now) < maxSkew {
			now = r.NotBefore.Add(time.Millisecond)
		}
	}
	return now
}

// maxSkew bounds what issueTime makes good: a revocation until tomorrow is meant.
const maxSkew = 5 * time.Second

// add returns those rows that were not known. A row without an id is not durable yet, and is always new.
func (d *denylist) add(rows ...*revocation) (fresh []*revocation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range rows {
		if d.rows[r.ID] {
			continue
		}
		if r.ID != 0 {
			d.rows[r.ID] = true
		}
		fresh = append(fresh, r)
		switch r.Kind {
		case KindSession, KindToken:
			d.ids[r.Subject] = r
		case KindUser, KindBefore:
			d.users[UserID(r.Subject)] = append(d.users[UserID(r.Subject)], r)
		case KindAll:
			d.all = append(d.all, r)
		}
		minute := r.Until.Unix() / 60
		d.byTime[minute] = append(d.byTime[minute], r)
	}
	return fresh
}

// forget drops what can revoke nothing any more.
func (d *denylist) forget(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for minute, rows := range d.byTime {
		if minute >= now.Unix()/60 {
			continue
		}
		for _, r := range rows {
			d.drop(r)
		}
		delete(d.byTime, minute)
	}
}

// drop removes r. The caller holds mu.
func (d *denylist) drop(r *revocation) {
	delete(d.rows, r.ID)
	without := func(rows []*revocation) []*revocation {
		kept := rows[:0:0]
		for _, other := range rows {
			if other != r {
				kept = append(kept, other)
			}
		}
		return kept
	}
	switch r.Kind {
	case KindSession, KindToken:
		if d.ids[r.Subject] == r {
			delete(d.ids, r.Subject)
		}
	case KindUser, KindBefore:
		if d.users[UserID(r.Subject)] = without(d.users[UserID(r.Subject)]); len(d.users[UserID(r.Subject)]) == 0 {
			delete(d.users, UserID(r.Subject))
		}
	case KindAll:
		d.all = without(d.all)
	}
}

// unexpired are all revocations that still count: what Redis must be told before it is trusted again.
func (d *denylist) unexpired() []*revocation {
	d.mu.RLock()
	defer d.mu.RUnlock()
	rows := make([]*revocation, 0, len(d.ids)+len(d.users)+len(d.all))
	for _, r := range d.ids {
		rows = append(rows, r)
	}
	for _, of := range d.users {
		rows = append(rows, of...)
	}
	return append(rows, d.all...)
}

func (d *denylist) len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.ids) + len(d.users) + len(d.all)
}
