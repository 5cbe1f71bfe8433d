package auth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Revocations that come while others are being written share a transaction, so that the audit log's chain is held once for all of them. One
// that PostgreSQL refuses keeps none of the others out, and the chain stays whole.
func TestRecord_RevocationsOfOneMomentShareATransaction(t *testing.T) {
	s := newServer(t, sessionsOn)
	l := s.auth.ends.ledger
	together := func(subjects ...string) (recs []*recording) {
		l.group.mu.Lock()
		l.group.writers = recordWriters // as though all were at work
		l.group.mu.Unlock()
		for _, subject := range subjects {
			recs = append(recs, l.record(&revocation{Kind: KindSession, Subject: subject, Reason: "revoked", Actor: "system", At: time.Now(), Until: time.Now().Add(time.Hour)})...)
		}
		l.writeWaiting()
		return recs
	}
	var subjects []string
	for i := range recordGroup {
		subjects = append(subjects, fmt.Sprintf("s-%d", i))
	}
	for _, rec := range together(subjects...) {
		if <-rec.done; rec.err != nil || rec.id() == 0 {
			t.Fatalf("%s: id %d, %v", rec.row.Subject, rec.id(), rec.err)
		}
	}
	var transactions, lines int
	err := s.owner().QueryRow(t.Context(), `SELECT count(DISTINCT r.xmin::text), (SELECT count(*) FROM app.audit WHERE subject LIKE 's-%') FROM app.revocations r
		WHERE r.subject LIKE 's-%'`).Scan(&transactions, &lines)
	if err != nil || transactions != 1 || lines != recordGroup {
		t.Errorf("%d transactions, %d lines in the audit log: %v", transactions, lines, err)
	}
	for _, rec := range together("before", "not\x00text", "after") {
		<-rec.done
		if wrong := strings.Contains(rec.row.Subject, "\x00"); wrong != (rec.err != nil) || wrong != (rec.id() == 0) {
			t.Errorf("%q: id %d, %v", rec.row.Subject, rec.id(), rec.err)
		}
	}
	if broken, _, err := s.auth.VerifyAudit(t.Context()); broken != 0 || err != nil {
		t.Errorf("the chain is broken at %d: %v", broken, err)
	}
}

// A session and its legacy token end together or not at all: neither a full group nor a refused statement parts them.
func TestRecord_WhatBelongsTogetherIsNotParted(t *testing.T) {
	s := newServer(t, sessionsOn)
	l := s.auth.ends.ledger
	row := func(subject string) *revocation {
		return &revocation{Kind: KindSession, Subject: subject, Reason: "revoked", Actor: "system", At: time.Now(), Until: time.Now().Add(time.Hour)}
	}
	l.group.writers = recordWriters // as though all were at work
	for i := range recordGroup - 1 {
		l.record(row(fmt.Sprintf("s-%d", i)))
	}
	l.record(row("pair"), row("its token"))
	if group := l.group.next(); len(group) != recordGroup+1 {
		t.Errorf("%d in a group, the pair's second is the %dth", len(group), recordGroup+1)
	}
	single, pair := l.record(row("alone"))[0], l.record(row("first"), row("not\x00text"))
	l.writeWaiting()
	for rec, refused := range map[*recording]bool{single: false, pair[0]: true, pair[1]: true} {
		if <-rec.done; (rec.err != nil) != refused {
			t.Errorf("%q: %v", rec.row.Subject, rec.err)
		}
	}
}
