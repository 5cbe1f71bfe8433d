package auth

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ownContext is a transaction whose statements run under Tx's deadline. With the caller's context, a client
// that leaves in the middle would have the connection cancelled under the transaction.
type ownContext struct {
	pgx.Tx
	ctx context.Context
}

func (t ownContext) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return t.Tx.Exec(t.ctx, sql, args...)
}

func (t ownContext) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.Tx.Query(t.ctx, sql, args...)
}

func (t ownContext) QueryRow(_ context.Context, sql string, args ...any) pgx.Row {
	return t.Tx.QueryRow(t.ctx, sql, args...)
}

// SendBatch leaves b as it is, for the case that it is sent again.
func (t ownContext) SendBatch(_ context.Context, b *pgx.Batch) pgx.BatchResults {
	var sent pgx.Batch
	for _, q := range b.QueuedQueries {
		queueCopy(&sent, q)
	}
	return t.Tx.SendBatch(t.ctx, &sent)
}

func (t ownContext) Begin(context.Context) (pgx.Tx, error) {
	tx, err := t.Tx.Begin(t.ctx)
	return ownContext{tx, t.ctx}, err
}

func (t ownContext) Commit(context.Context) error   { return t.Tx.Commit(t.ctx) }
func (t ownContext) Rollback(context.Context) error { return t.Tx.Rollback(t.ctx) }

// notedResults notes whether a callback has seen a result. One that was given nothing but an error has not.
type notedResults struct {
	pgx.BatchResults
	seen *bool
}

func (n notedResults) Exec() (pgconn.CommandTag, error) {
	tag, err := n.BatchResults.Exec()
	*n.seen = *n.seen || err == nil
	return tag, err
}

func (n notedResults) Query() (pgx.Rows, error) {
	rows, err := n.BatchResults.Query()
	*n.seen = *n.seen || err == nil
	return rows, err
}

func (n notedResults) QueryRow() pgx.Row { return notedRow{n.BatchResults.QueryRow(), n.seen} }

type notedRow struct {
	pgx.Row
	seen *bool
}

func (r notedRow) Scan(to ...any) error {
	err := r.Row.Scan(to...)
	*r.seen = *r.seen || err == nil
	return err
}
