package auth

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed scripts/create.lua
	createLua string
	//go:embed scripts/check.lua
	checkLua string

	createScript = redis.NewScript(createLua)
	checkScript  = redis.NewScript(checkLua)
)

// touchEvery is how exactly Redis knows when a session was last used: a write per request would cost more than it tells.
const touchEvery = time.Minute

const neverTouch = 1 << 62 * time.Nanosecond

// Device is what a client says of the device that it runs on. It is shown, never trusted.
type Device struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
}

// Session is a log-in that can be revoked. It ends when it was not used for Idle, and in any case at Ends.
type Session struct {
	ID        SessionID
	User      UserID
	Role      Role
	IssuedAt  time.Time
	AuthAt    time.Time // when the password was last proven
	SeenAt    time.Time
	Ends      time.Time
	Idle      time.Duration
	Device    Device
	UserAgent string
	IP        string
	Legacy    SessionID // the legacy session that was exchanged for this one

	verifier string
	epoch    int64
	touched  bool // this read noted the use
}

// Expires is when the session ends unless it is used before.
func (s Session) Expires() time.Time {
	if idle := s.SeenAt.Add(s.Idle); idle.Before(s.Ends) {
		return idle
	}
	return s.Ends
}

func (s Session) principal() Principal {
	return Principal{User: s.User, Role: s.Role, Session: s.ID, Via: ViaSession,
		IssuedAt: s.IssuedAt, AuthAt: s.AuthAt, Expires: s.Expires()}
}

// errNoSession: Redis was asked and holds no such session.
var errNoSession = errors.New("auth: no such session")

// sessions are the live sessions in Redis.
type sessions struct {
	rdb   redis.UniversalClient
	limit int // per user
	clock *clock
}

// What create answers where a legacy session was exchanged before.
var (
	errExchanged     = errors.New("auth: this legacy session has been exchanged, and the session lives")
	errExchangedOver = errors.New("auth: this legacy session has been exchanged, and the session has ended")
)

// create stores s under a new token. It returns the sessions that gave way because the user has too many. Where once is not
// empty it is what is exchanged for the session: that happens once.
func (st *sessions) create(ctx context.Context, s *Session, t token, once SessionID) (gone []SessionID, err error) {
	s.ID, s.verifier = t.id, t.verifier()
	tag := utagOf(s.ID)
	args := append([]any{s.IssuedAt.UnixMilli(), s.Idle.Milliseconds(), s.Ends.UnixMilli(), st.limit,
		string(s.ID[utagLen:]), sessionPrefix + "{" + tag + "}", endingPrefix + "{" + tag + "}"}, s.fields()...)
	keys := []string{sessionKey(s.ID), indexKey(tag), epochKey(tag)}
	if once != "" {
		keys = append(keys, exchangeKey(tag, once))
	}
	reply, err := createScript.Run(ctx, st.rdb, keys, args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("auth: create session: %w", err)
	}
	switch fields(reply).text(0) {
	case "again":
		return nil, errExchanged
	case "over":
		return nil, errExchangedOver
	}
	s.epoch = parseInt(fields(reply).text(0))
	if rnds, ok := reply[1].([]any); ok {
		for _, rnd := range rnds {
			gone = append(gone, SessionID(tag+fmt.Sprint(rnd)))
		}
	}
	return gone, nil
}

// fields are what create stores beyond the times.
func (s *Session) fields() []any {
	return []any{"uid", string(s.User), "role", string(s.Role), "vh", s.verifier, "auth", s.AuthAt.UnixMilli(),
		"aal", 1, "amr", "pwd", "dev", s.Device.Name, "plat", s.Device.Platform, "ua", s.UserAgent, "ip", s.IP, "lsid", string(s.Legacy)}
}

// check answers for a token: its session, or errNoSession also where the secret is wrong. It notes the use.
func (st *sessions) check(ctx context.Context, t token, ip string) (Session, error) {
	s, err := st.read(ctx, t.id, touchEvery, ip)
	if err == nil && !t.matches(s.verifier) {
		return Session{}, errNoSession
	}
	return s, err
}

// lookup reads a session without touching it.
func (st *sessions) lookup(ctx context.Context, id SessionID) (Session, error) {
	return st.read(ctx, id, neverTouch, "")
}

// read runs the check script. A Redis that cannot write (a replica just promoted, or full) can still answer: then it is
// read without a touch, because refusing everybody would be worse than a last-seen that stands still.
func (st *sessions) read(ctx context.Context, id SessionID, touch time.Duration, ip string) (Session, error) {
	tag := utagOf(id)
	keys := []string{sessionKey(id), epochKey(tag), indexKey(tag)}
	now := st.clock.now().UnixMilli()
	f, err := checkScript.Run(ctx, st.rdb, keys, now, touch.Milliseconds(), ip, string(id[utagLen:])).Slice()
	if isReadOnly(err) {
		f, err = st.readPlain(ctx, id)
	}
	switch {
	case errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "WRONGTYPE"):
		return Session{}, errNoSession // a key that something overwrote is no session any more
	case err != nil:
		return Session{}, fmt.Errorf("auth: read session: %w", err)
	}
	s, err := sessionOf(id, f, time.UnixMilli(now))
	s.touched = s.SeenAt.UnixMilli() == now
	return s, err
}

func isReadOnly(err error) bool {
	return redis.HasErrorPrefix(err, "READONLY") || redis.HasErrorPrefix(err, "OOM") || redis.HasErrorPrefix(err, "MISCONF")
}

func (st *sessions) readPlain(ctx context.Context, id SessionID) ([]any, error) {
	pipe := st.rdb.Pipeline()
	session := pipe.HMGet(ctx, sessionKey(id), "uid", "role", "vh", "gen", "iat", "auth", "abs", "idle", "seen", "dev", "plat", "ua", "ip", "lsid")
	epoch := pipe.Get(ctx, epochKey(utagOf(id)))
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	f := fields(session.Val())
	if f.text(0) == "" || f.number(3) < parseInt(epoch.Val()) {
		return nil, redis.Nil
	}
	return f, nil
}

// sessionOf decodes the fields in the order of check.lua. A hash without the fields that decide is no session.
func sessionOf(id SessionID, reply []any, now time.Time) (Session, error) {
	f := fields(reply)
	s := Session{ID: id, User: UserID(f.text(0)), Role: Role(f.text(1)), verifier: f.text(2), epoch: f.number(3),
		IssuedAt: f.time(4), AuthAt: f.time(5), Ends: f.time(6), Idle: time.Duration(f.number(7)) * time.Millisecond,
		SeenAt: f.time(8), Device: Device{f.text(9), f.text(10)}, UserAgent: f.text(11), IP: f.text(12), Legacy: SessionID(f.text(13))}
	if s.User == "" || s.IssuedAt.IsZero() || s.Ends.IsZero() || !s.Expires().After(now) {
		return Session{}, errNoSession
	}
	return s, nil
}

// ofUser lists a user's live sessions, the newest use first is the caller's business.
func (st *sessions) ofUser(ctx context.Context, tag string) ([]Session, error) {
	rnds, err := st.rdb.ZRangeByScore(ctx, indexKey(tag), &redis.ZRangeBy{
		Min: strconv.FormatInt(st.clock.now().UnixMilli(), 10), Max: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("auth: list sessions: %w", err)
	}
	ids := make([]SessionID, 0, len(rnds))
	for _, rnd := range rnds {
		ids = append(ids, SessionID(tag+rnd))
	}
	return st.many(ctx, ids)
}

// many reads sessions in one pipeline; those that are gone are left out.
func (st *sessions) many(ctx context.Context, ids []SessionID) ([]Session, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := st.rdb.Pipeline()
	type cmds struct {
		session *redis.SliceCmd
		epoch   *redis.StringCmd
	}
	sent := make([]cmds, len(ids))
	for i, id := range ids {
		sent[i] = cmds{
			pipe.HMGet(ctx, sessionKey(id), "uid", "role", "vh", "gen", "iat", "auth", "abs", "idle", "seen", "dev", "plat", "ua", "ip", "lsid"),
			pipe.Get(ctx, epochKey(utagOf(id))),
		}
	}
	_, _ = pipe.Exec(ctx) // each command carries its own error
	live, now := make([]Session, 0, len(ids)), st.clock.now()
	for i, c := range sent {
		if err := c.session.Err(); err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
			return nil, fmt.Errorf("auth: list sessions: %w", err)
		}
		s, err := sessionOf(ids[i], c.session.Val(), now)
		if err == nil && s.epoch >= parseInt(c.epoch.Val()) {
			live = append(live, s)
		}
	}
	return live, nil
}

// rename gives a live session's device another name. A session that ended meanwhile must not come back as half a hash.
var renameScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'dev', ARGV[1])
return 1`)

func (st *sessions) rename(ctx context.Context, id SessionID, name string) error {
	if err := renameScript.Run(ctx, st.rdb, []string{sessionKey(id)}, name).Err(); err != nil {
		return fmt.Errorf("auth: rename session: %w", err)
	}
	return nil
}

//go:embed scripts/rotate.lua
var rotateLua string

var rotateScript = redis.NewScript(rotateLua)

// rotate replaces a live session's secret by t's; false where there is no such session any more.
func (st *sessions) rotate(ctx context.Context, t token, now time.Time) (bool, error) {
	n, err := rotateScript.Run(ctx, st.rdb, []string{sessionKey(t.id)}, t.verifier(), now.UnixMilli()).Int()
	return n == 1, err
}
