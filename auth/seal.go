package auth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"strings"
)

// Sealer keeps what must come back in the clear (the secret that a user's webhook is signed with) unreadable in PostgreSQL and in
// its dumps. The first secret of SECRET_KEY seals, all of them open.
type Sealer struct{ keys []sealKey }

type sealKey struct {
	name []byte // what a value that it sealed begins with
	aead cipher.AEAD
}

const (
	sealForm    = 1 // the first byte of every sealed value: AES-256-GCM with a random nonce
	sealKeyName = 8 // bytes
)

// ErrSealed is that none of our keys opens a value: the secret that sealed it is no longer in SECRET_KEY, or it stands in a place
// where it was not sealed.
var ErrSealed = errors.New("none of the secrets in SECRET_KEY opens it")

// Sealer seals with k.
func (k SecretKey) Sealer() *Sealer {
	s := &Sealer{}
	names := k.Derive("seal-key-name", sealKeyName)
	for i, key := range k.Derive("seal", 32) {
		block, err := aes.NewCipher(key)
		if err != nil {
			panic(err) // only for a key of another size: a mistake in this program
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			panic(err) // only for a cipher of other blocks
		}
		s.keys = append(s.keys, sealKey{append([]byte{sealForm}, names[i]...), aead})
	}
	return s
}

// Sealer seals what is stored in db, with SECRET_KEY.
func (db *DB) Sealer() *Sealer { return db.sealer }

// Seal makes text unreadable. It opens only at the same place: a sealed value that is moved to another row is worth nothing there.
func (s *Sealer) Seal(text string, place ...string) []byte {
	k := s.keys[0]
	return k.aead.Seal(bytes.Clone(k.name), nil, []byte(text), bound(k.name, place))
}

// Open is the text that was sealed at place, or ErrSealed.
func (s *Sealer) Open(sealed []byte, place ...string) (string, error) {
	for _, k := range s.keys {
		rest, ours := bytes.CutPrefix(sealed, k.name)
		if !ours {
			continue
		}
		if text, err := k.aead.Open(nil, nil, rest, bound(k.name, place)); err == nil {
			return string(text), nil
		}
	}
	return "", ErrSealed
}

// Newest is what every value begins with that the first secret sealed. Others are to be sealed again before their secret goes.
func (s *Sealer) Newest() []byte { return s.keys[0].name }

// bound is what a sealed value is tied to. Places are names and ids: none holds a NUL.
func bound(name []byte, place []string) []byte {
	return append(bytes.Clone(name), strings.Join(place, "\x00")...)
}
