package prices

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"rosetree/internal/api"
)

// Owner is a user as far as this room knows one: whose news it is, and their rows, which the database keeps apart
// from everybody else's. auth.DB.As gives Rows.
type Owner struct {
	ID   string
	Rows DB
}

// one runs a statement that touches at most one row of the owner's, or answers that there is no such thing.
func (o Owner) one(ctx context.Context, thing, sql string, args ...any) error {
	return o.Rows.Tx(ctx, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, sql, args...)
		if err == nil && done.RowsAffected() == 0 {
			return api.NotFound(thing)
		}
		return err
	})
}

// newID is a UUIDv7.
func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}

// checkID answers what is no id as what does not exist.
func checkID(thing, id string) error {
	if uuid.Validate(id) != nil || len(id) != 36 {
		return api.NotFound(thing)
	}
	return nil
}

// notThere turns a query without a row into not_found.
func notThere(thing string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return api.NotFound(thing)
	}
	return err
}
