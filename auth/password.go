package auth

import (
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"rosetree/internal/api"
)

// argon2id with the OWASP minimum. The parameters stand in each hash, so they can be raised; a hash made with others is
// made anew at the next log-in.
type hashCost struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

var currentCost = hashCost{memory: 19456, time: 2, threads: 1}

// A row of the database must not be able to ask for more than this: a hash with m=4 GiB would end the process.
var maxCost = hashCost{memory: 128 << 10, time: 10, threads: 4}

// dummyHash is what an unknown user's password is compared with. It is nobody's: its password was random.
var dummyHash = hashPassword(randomText(32), currentCost)

type passwordHash struct {
	cost      hashCost
	salt, sum []byte
}

func hashPassword(password string, c hashCost) string {
	salt := make([]byte, 16)
	rand.Read(salt)
	sum := argon2.IDKey([]byte(password), salt, c.time, c.memory, c.threads, 32)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", c.memory, c.time, c.threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// storedHash is a password's hash as the database has it, of one of the two kinds.
type storedHash interface {
	matches(password string) bool
	outdated(password string) bool          // what matched should be hashed anew
	pad(password string, dearestBcrypt int) // makes a wrong password cost the same for every account
}

func parseHash(s string) (storedHash, error) {
	if strings.HasPrefix(s, "$2") {
		return parseBcrypt(s)
	}
	return parseArgon(s)
}

func parseArgon(s string) (passwordHash, error) {
	var h passwordHash
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return h, errHashFormat
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.cost.memory, &h.cost.time, &h.cost.threads); n != 3 || err != nil {
		return h, errHashFormat
	}
	c := h.cost
	if c.memory < 8 || c.memory > maxCost.memory || c.time < 1 || c.time > maxCost.time || c.threads < 1 || c.threads > maxCost.threads {
		return h, errHashFormat
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.sum) < 16 || len(h.sum) > 64 {
		return h, errHashFormat
	}
	return h, nil
}

func (h passwordHash) matches(password string) bool {
	sum := argon2.IDKey([]byte(password), h.salt, h.cost.time, h.cost.memory, h.cost.threads, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}

func (h passwordHash) outdated(string) bool { return h.cost != currentCost }

//go:embed common_passwords.txt
var commonPasswordsText string

// commonPasswords are in lower case, one a line; see the file's first line for where they come from.
var commonPasswords = func() map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(commonPasswordsText) {
		if p := strings.TrimSpace(line); p != "" && !strings.HasPrefix(p, "#") {
			all[p] = true
		}
	}
	return all
}()

// maxPassword bounds what is hashed; it is far above what people type and below what an attacker would send.
const maxPassword = 1024

// checkNewPassword refuses what can be guessed. There are no rules of composition: they make passwords worse.
func checkNewPassword(field, password, email string) error {
	lower := strings.ToLower(password)
	name, _, _ := strings.Cut(strings.ToLower(email), "@")
	switch {
	case !utf8.ValidString(password):
		return api.Invalid(field, "must be text")
	case utf8.RuneCountInString(password) < 8:
		return api.Invalid(field, "must have at least 8 characters")
	case len(password) > maxPassword:
		return api.Invalid(field, "must have at most %d bytes", maxPassword)
	case commonPasswords[lower] || lower == strings.ToLower(email) || lower == name:
		return api.Invalid(field, "is too easy to guess; choose another")
	}
	return nil
}
