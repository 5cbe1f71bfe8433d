package migrations

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/text/secure/precis"
)

const runtimeRole = "rosetree_api"

// setPassword gives the runtime login the password that runtimeURL holds. Another login, or none, is left alone.
func setPassword(ctx context.Context, conn *pgx.Conn, runtimeURL string) error {
	if runtimeURL == "" {
		return nil
	}
	c, err := pgconn.ParseConfig(runtimeURL)
	if err != nil {
		return errors.New("migrations: DATABASE_URL is not a PostgreSQL URL") // pgx's own text repeats parts of it
	}
	if c.User != runtimeRole || c.Password == "" {
		return nil
	}
	verifier, err := scramVerifier(c.Password)
	if err != nil {
		return err
	}
	// The verifier and not the password: a statement may be logged. Its characters need no quoting.
	if _, err := conn.Exec(ctx, "alter role "+runtimeRole+" password '"+verifier+"'"); err != nil {
		return fmt.Errorf("migrations: set the password of %s: %w", runtimeRole, err)
	}
	return nil
}

// scramVerifier is what PostgreSQL stores for a password (RFC 5803, SCRAM-SHA-256).
func scramVerifier(password string) (string, error) {
	if normal, err := precis.OpaqueString.String(password); err == nil {
		password = normal // as the login will; a password that cannot be normalised is taken as it is
	}
	const iterations = 4096
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("migrations: password: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(mac(salted, "Server Key"))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
