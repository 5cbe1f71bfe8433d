package auth

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"
)

// The program before this one kept passwords as bcrypt hashes. They are accepted as they are, and made anew as argon2id at the first
// log-in with the right password.
const (
	// maxBcryptCost bounds what a row of the database may ask for: cost 13 takes half a second, and each one more twice that.
	maxBcryptCost = 13
	// bcrypt reads no more of a password than this. What comes after is not known to be right, so it is not hashed anew.
	bcryptReads = 72
)

// bcryptHash is a stored hash of the old program, checked in form.
type bcryptHash struct {
	text string
	cost int
}

// bcryptAlphabet is bcrypt's own base 64.
const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func parseBcrypt(s string) (bcryptHash, error) {
	if len(s) != 60 || s[0:2] != "$2" || !strings.ContainsRune("aby", rune(s[2])) || s[3] != '$' || s[6] != '$' || strings.Trim(s[7:], bcryptAlphabet) != "" {
		return bcryptHash{}, errHashFormat
	}
	cost, err := strconv.ParseUint(s[4:6], 10, 8)
	if err != nil || int(cost) < bcrypt.MinCost || cost > maxBcryptCost {
		return bcryptHash{}, errHashFormat
	}
	return bcryptHash{s, int(cost)}, nil
}

func (h bcryptHash) matches(password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(h.text), []byte(password)) == nil
}

func (h bcryptHash) outdated(password string) bool { return len(password) <= bcryptReads }

// pad does what a wrong password for any other account would have cost beyond this. Each step of the cost doubles the work, so the
// steps from this hash's to the dearest one's, added to the hash itself, are as much as the dearest one.
func (h bcryptHash) pad(password string, dearest int) {
	passwordHash{cost: currentCost, salt: make([]byte, 16), sum: make([]byte, 32)}.matches(password)
	for cost := h.cost; cost < dearest; cost++ {
		dummyBcrypt(cost).matches(password)
	}
}

// pad: while there are bcrypt hashes, an account that has none costs a wrong password as much as one that has.
func (h passwordHash) pad(password string, dearest int) {
	if dearest > 0 {
		dummyBcrypt(dearest).matches(password)
	}
}

// dummyBcrypt is nobody's hash.
func dummyBcrypt(cost int) bcryptHash {
	return bcryptHash{fmt.Sprintf("$2b$%02d$%s", cost, strings.Repeat(".", 53)), cost}
}

// learnEvery is how often the dearest bcrypt hash is looked up: the old program may go on making accounts.
const learnEvery = 5 * time.Minute

// learnBcrypt keeps the hash pool told of what the old program's dearest hash costs; 0 when all have been made anew.
func (a *Auth) learnBcrypt(ctx context.Context) error {
	for {
		if err := a.lookForBcrypt(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("login: the old program's password hashes cannot be looked for", "cause", err)
		}
		select {
		case <-time.After(learnEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

const selectDearestBcrypt = `SELECT coalesce(max(substr(password_hash, 5, 2)::int), 0) FROM app.credentials WHERE password_hash ~ '^\$2[aby]\$(0[4-9]|1[0-3])\$'`

func (a *Auth) lookForBcrypt(ctx context.Context) error {
	dearest := 0
	var b pgx.Batch
	b.Queue(selectDearestBcrypt).QueryRow(func(row pgx.Row) error { return row.Scan(&dearest) })
	if err := a.rows.Do(ctx, &b); err != nil {
		return err
	}
	a.hashes.dearest.Store(int32(dearest))
	return nil
}
