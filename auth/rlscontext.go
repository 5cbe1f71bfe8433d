package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"sync"
	"time"
)

// Service is a part of the server that works on tables of its own rather than on one user's.
type Service string

const (
	ServiceAuth  Service = "auth"  // users, credentials, sessions, revocations, audit, rollout, notices
	ServiceFeed  Service = "feed"  // instruments, splits, closes, candles; fired alerts
	ServiceRelay Service = "relay" // the outbox of portfolio news
)

const (
	scopeUser = "u"
	// contextTTL is how long a bound context counts: longer than any statement may run, short enough
	// that one which leaked through a poisoned session is soon worthless.
	contextTTL = 30 * time.Second
)

// nobody is the user of a service's contexts and of self-checks.
const nobody UserID = "00000000-0000-0000-0000-000000000000"

// signer makes the identity contexts that app.uid() and app.service() verify:
// v1.<kid>.<scope>.<uid>.<exp>.<pid>.<mac>. The MAC covers the database and the login as well.
type signer struct {
	kid    string
	prefix string // "rosetree.ctx|" + current_database() + "|" + session_user + "|"
	macs   sync.Pool
}

func newSigner(key []byte, database, login string) *signer {
	return &signer{kid: contextKeyID(key), prefix: "rosetree.ctx|" + database + "|" + login + "|",
		macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// contextKeyID is the number by which the database knows the key; app_private.key_id computes the same.
func contextKeyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("rosetree.kid|"), key...))
	return strconv.FormatUint(uint64(binary.BigEndian.Uint32(sum[:4])&0x7fffffff), 10)
}

// mint signs scope and uid until now+ttl. pid is the backend it is bound to; 0 is any, for poolers.
func (s *signer) mint(scope, uid string, now time.Time, ttl time.Duration, pid uint32) string {
	b := make([]byte, 0, 256)
	b = append(b, s.prefix...)
	start := len(b)
	b = append(b, "v1."...)
	b = append(b, s.kid...)
	b = append(b, '.')
	b = append(b, scope...)
	b = append(b, '.')
	b = append(b, uid...)
	b = append(b, '.')
	b = strconv.AppendInt(b, now.Add(ttl).Unix(), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(pid), 10)
	mac := s.macs.Get().(hash.Hash)
	mac.Reset()
	mac.Write(b)
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	s.macs.Put(mac)
	b = append(b, '.')
	return string(hex.AppendEncode(b, sum[:])[start:])
}

// checkUserID refuses what is not a UUID in canonical form: it goes into a signed text.
func checkUserID(id UserID) error {
	if len(id) != 36 {
		return fmt.Errorf("auth: a user id has 36 characters, not %d", len(id))
	}
	for i, c := range []byte(id) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		lowerHex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if dash != (c == '-') || !dash && !lowerHex {
			return fmt.Errorf("auth: a user id is a UUID in lower case")
		}
	}
	return nil
}
