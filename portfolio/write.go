package portfolio

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rosetree/auth"
	"rosetree/internal/api"
)

// write runs do in a transaction of p's rows and tells the news once it is committed.
func write[O any](ctx context.Context, s *Service, p auth.Principal, do func(pgx.Tx) (O, *news, error)) (O, error) {
	return writeWithin(ctx, s, p, 0, do)
}

// writeWithin is write with a time limit of its own; 0 is the database's usual one.
func writeWithin[O any](ctx context.Context, s *Service, p auth.Principal, limit time.Duration, do func(pgx.Tx) (O, *news, error)) (O, error) {
	var out O
	var told *news
	err := s.db.As(p).Within(limit).Tx(ctx, func(tx pgx.Tx) (err error) {
		out, told, err = do(tx)
		return err
	})
	if err != nil {
		var zero O
		return zero, writeProblem(err)
	}
	if told != nil {
		s.committed(*told)
	}
	return out, nil
}

// writeProblem turns what a constraint found into what the client can act on. The rules are checked
// before; this is what two writers at once can still run into.
func writeProblem(err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	switch pg.Code {
	case "23505":
		return api.Conflict("it exists already")
	case "23503":
		return api.Conflict("what it refers to has changed meanwhile; read again and retry")
	}
	return err
}

// once is write for requests that must not happen twice: with an idempotency key the first answer is
// kept with the row that it belongs to, and given again (also by another server, across reconnects).
func once[I, O any](ctx context.Context, s *Service, p auth.Principal, operation string, in I, do func(pgx.Tx) (O, *news, error)) (O, error) {
	name := api.IdempotencyKey(ctx)
	if name == "" {
		return write(ctx, s, p, do)
	}
	if len(name) > 200 {
		var zero O
		return zero, api.Invalid("idempotency_key", "has more than 200 characters")
	}
	text, err := json.Marshal(in)
	if err != nil {
		var zero O
		return zero, fmt.Errorf("portfolio: %w", err)
	}
	hash := sha256.Sum256(append([]byte(operation+"\x00"), text...))
	return write(ctx, s, p, func(tx pgx.Tx) (out O, n *news, err error) {
		done, err := claim(ctx, tx, p, name, hash[:], &out)
		if done || err != nil {
			return out, nil, err
		}
		if out, n, err = do(tx); err != nil {
			return out, nil, err
		}
		response, err := json.Marshal(out)
		if err != nil {
			return out, nil, err
		}
		_, err = tx.Exec(ctx, `UPDATE app.idempotency SET response = $2 WHERE key = $1`, name, response)
		return out, n, err
	})
}

// claim takes a key for this request, or finds the answer of the request that has it. A second one that
// runs at the same time waits here until the first is committed or gone.
func claim(ctx context.Context, tx pgx.Tx, p auth.Principal, name string, hash []byte, out any) (done bool, err error) {
	tag, err := tx.Exec(ctx, `INSERT INTO app.idempotency (user_id, key, request_hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, p.User, name, hash)
	if err != nil || tag.RowsAffected() == 1 {
		return false, err
	}
	var was, response []byte
	if err := tx.QueryRow(ctx, `SELECT request_hash, response FROM app.idempotency WHERE key = $1`, name).Scan(&was, &response); err != nil {
		return false, err
	}
	if string(was) != string(hash) {
		return false, &api.Problem{Status: 409, Code: "idempotency_key_reused", Message: "this idempotency key belongs to another request", Field: "idempotency_key"}
	}
	return true, json.Unmarshal(response, out)
}
