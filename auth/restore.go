package auth

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/restore.lua
var restoreLua string

var restoreScript = redis.NewScript(restoreLua)

// Progress is how far work on many sessions has come.
type Progress struct {
	Total   int           `json:"total"`   // at the beginning
	Done    int           `json:"done"`    // looked at
	Made    int           `json:"made"`    // sessions that came into being in Redis
	Skipped int           `json:"skipped"` // there already, or over by now
	Failed  int           `json:"failed"`
	Took    time.Duration `json:"took_ns"`
}

const restoreBatch = 500

// RestoreSessions fills Redis after a loss from the durable record: every session that has not ended and is not there. Revoked ones
// stay revoked, because their record has ended; one whose key was deleted by hand without a revocation comes back. It may
// be stopped and run again at any time.
func (a *Auth) RestoreSessions(ctx context.Context, perSecond int, report func(Progress)) (Progress, error) {
	return a.eachRecord(ctx, `via = 'session' AND verifier <> ''`, perSecond, report, func(ctx context.Context, r sessionRecord) (bool, error) {
		return a.restore(ctx, r)
	})
}

func (a *Auth) restore(ctx context.Context, r sessionRecord) (made bool, err error) {
	if !isSessionID(string(r.ID)) {
		return false, nil
	}
	u, err := a.people.active(ctx, r.User)
	if err != nil {
		if errors.Is(err, errDisabled) {
			return false, nil
		}
		return false, err
	}
	r.Role = u.Role
	p := r.principal()
	if _, denied := a.ends.denied.check(p); denied {
		return false, nil
	}
	tag := utagOf(r.ID)
	args := append([]any{r.IssuedAt.UnixMilli(), r.SeenAt.UnixMilli(), r.Idle.Milliseconds(), r.Ends.UnixMilli(), string(r.ID[utagLen:]), a.clock.now().UnixMilli()}, r.fields()...)
	n, err := restoreScript.Run(ctx, a.rdb, []string{sessionKey(r.ID), indexKey(tag), epochKey(tag)}, args...).Int()
	return n == 1, err
}

// eachRecord goes through the live records in the order of their ids, a page at a time and not faster than perSecond (0: as fast as
// it goes). work says whether it made something. A failure of one record does not stop the others.
func (a *Auth) eachRecord(ctx context.Context, where string, perSecond int, report func(Progress), work func(context.Context, sessionRecord) (bool, error)) (p Progress, err error) {
	began := time.Now()
	where += ` AND ` + isLive
	if p.Total, err = a.countRecords(ctx, where); err != nil {
		return p, err
	}
	last := ""
	for {
		page, err := a.records(ctx, where+` AND id > $1 ORDER BY id LIMIT $2`, last, restoreBatch)
		if err != nil {
			return p, err
		}
		for _, r := range page {
			if ctx.Err() != nil {
				return p, ctx.Err()
			}
			p.add(work(ctx, r))
			last = string(r.ID)
			if ahead := perSecond; ahead > 0 {
				pause(ctx, time.Until(began.Add(time.Duration(p.Done)*time.Second/time.Duration(ahead))))
			}
		}
		p.Took = time.Since(began)
		report(p)
		if len(page) < restoreBatch {
			break
		}
	}
	if p.Failed > 0 {
		return p, fmt.Errorf("auth: %d of %d failed; run it again", p.Failed, p.Done)
	}
	return p, nil
}

func (p *Progress) add(made bool, err error) {
	p.Done++
	switch {
	case err != nil:
		p.Failed++
	case made:
		p.Made++
	default:
		p.Skipped++
	}
}
