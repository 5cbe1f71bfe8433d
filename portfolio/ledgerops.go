package portfolio

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
)

type numeric = pgtype.Numeric

// cursor says where a page ended: at a row's time and order of entry.
func cursor(e *entry) string { return fmt.Sprintf("%d.%d", e.At.UnixMicro(), e.Seq) }

func parseCursor(text string) (at time.Time, seq int64, err error) {
	if text == "" {
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 0, nil
	}
	micros, order, _ := strings.Cut(text, ".")
	us, err1 := strconv.ParseInt(micros, 10, 64)
	seq, err2 := strconv.ParseInt(order, 10, 64)
	if err1 != nil || err2 != nil || us > 253402300800000000 || us < -2208988800000000 {
		return at, 0, api.Invalid("cursor", "is not one that this server gave")
	}
	return time.UnixMicro(us).UTC(), seq, nil
}

// ownerOf says whose portfolio id is: p's own, or that of somebody who shares it with p.
func (s *Service) ownerOf(ctx context.Context, p auth.Principal, id ID) (auth.UserID, *share, error) {
	if !validID(string(id)) {
		return "", nil, api.NotFound("portfolio")
	}
	_, err := s.version(ctx, p.User, id)
	if err == nil {
		return p.User, nil, nil
	}
	if api.ProblemOf(err).Code != "not_found" {
		return "", nil, err
	}
	sh, err := s.shared(ctx, p.User, id)
	if err != nil {
		return "", nil, err
	}
	return sh.owner, sh, nil
}

type newTransaction struct {
	which
	transactionFields
}

// addTransaction enters a row. Its currency is the instrument's where none is given, else the account's.
func (s *Service) addTransaction(ctx context.Context, p auth.Principal, in newTransaction) (Transaction, error) {
	return once(ctx, s, p, "transaction.add", in, func(tx pgx.Tx) (Transaction, *news, error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return Transaction{}, nil, err
		}
		e := &entry{Transaction: ledger.Transaction{ID: newID(), At: time.Now().UTC().Truncate(time.Microsecond)}, revision: 1}
		if err := in.onto(e); err != nil {
			return Transaction{}, nil, err
		}
		return s.store(ctx, tx, p, st, e, nil)
	})
}

type transactionChange struct {
	which
	Transaction string `json:"transaction"`
	transactionFields
}

// updateTransaction enters a new revision of a row; the old one is kept.
func (s *Service) updateTransaction(ctx context.Context, p auth.Principal, in transactionChange) (Transaction, error) {
	return once(ctx, s, p, "transaction.update", in, func(tx pgx.Tx) (Transaction, *news, error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return Transaction{}, nil, err
		}
		old, err := entryOf(ctx, tx, st.id, in.Transaction)
		if err == nil && old.deleted {
			err = api.NotFound("transaction")
		}
		if err != nil {
			return Transaction{}, nil, err
		}
		e := *old
		if err := in.onto(&e); err != nil {
			return Transaction{}, nil, err
		}
		return s.store(ctx, tx, p, st, &e, old)
	})
}

type whichTransaction struct {
	which
	Transaction string `json:"transaction"`
}

// deleteTransaction marks a row as deleted; transaction.undo brings it back.
func (s *Service) deleteTransaction(ctx context.Context, p auth.Principal, in whichTransaction) (api.None, error) {
	return write(ctx, s, p, func(tx pgx.Tx) (out api.None, n *news, err error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return out, nil, err
		}
		old, err := entryOf(ctx, tx, st.id, in.Transaction)
		if err == nil && old.deleted {
			err = api.NotFound("transaction")
		}
		if err != nil {
			return out, nil, err
		}
		gone := *old
		gone.deleted = true
		_, n, err = s.store(ctx, tx, p, st, &gone, old)
		return out, n, err
	})
}

// undoTransaction takes the last change of a row back: as a new revision, so that an undo can be undone.
func (s *Service) undoTransaction(ctx context.Context, p auth.Principal, in whichTransaction) (Transaction, error) {
	return once(ctx, s, p, "transaction.undo", in, func(tx pgx.Tx) (Transaction, *news, error) {
		st, err := settingsOf(ctx, tx, in.Portfolio, true)
		if err != nil {
			return Transaction{}, nil, err
		}
		old, err := entryOf(ctx, tx, st.id, in.Transaction)
		if err != nil {
			return Transaction{}, nil, err
		}
		before, err := previous(ctx, tx, old)
		if err != nil {
			return Transaction{}, nil, err
		}
		if before.Rate.Valid && old.Rate.Valid && before.Rate.Decimal.Equal(old.Rate.Decimal) {
			before.fxBase = old.fxBase // noted when the base currency changed, which is not taken back
		}
		return s.store(ctx, tx, p, st, before, old)
	})
}

// previous is the state before the newest revision; of a row that was only ever entered, its deletion.
func previous(ctx context.Context, tx pgx.Tx, now *entry) (*entry, error) {
	if now.revision == 1 {
		gone := *now
		gone.deleted = true
		return &gone, nil
	}
	rows, err := tx.Query(ctx, `SELECT `+entryColumns+` FROM (SELECT (jsonb_populate_record(NULL::app.transactions, v.state)).* FROM app.transaction_versions v
		WHERE v.transaction_id = $1 AND v.revision = $2) t`, now.ID, now.revision-1)
	if err != nil {
		return nil, err
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEntry)
	if err == pgx.ErrNoRows {
		return nil, api.Conflict("the earlier revision is no longer kept")
	}
	return e, err
}

func entryOf(ctx context.Context, tx pgx.Tx, id ID, transaction string) (*entry, error) {
	if !validID(transaction) {
		return nil, api.NotFound("transaction")
	}
	rows, err := tx.Query(ctx, `SELECT `+entryColumns+` FROM app.transactions WHERE portfolio_id = $1 AND id = $2`, id, transaction)
	if err != nil {
		return nil, err
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEntry)
	if err == pgx.ErrNoRows {
		return nil, api.NotFound("transaction")
	}
	return e, err
}

// store checks e against the rules and the rest of the ledger and writes it: as a new row, or over old.
func (s *Service) store(ctx context.Context, tx pgx.Tx, p auth.Principal, st settings, e, old *entry) (out Transaction, n *news, err error) {
	accounts, err := accountsOf(ctx, tx, st.id)
	if err != nil {
		return out, nil, err
	}
	if err := s.complete(ctx, tx, e, accounts); err != nil {
		return out, nil, err
	}
	if !e.deleted {
		if err := e.check(st.base, time.Now()); err != nil {
			return out, nil, err
		}
	}
	for _, symbol := range touchedBy(e, old) {
		if err := s.checkHoldings(ctx, tx, st, accounts, symbol, e, old); err != nil {
			return out, nil, err
		}
	}
	if old == nil {
		err = insertEntries(ctx, tx, p, st.id, e)
	} else {
		err = updateEntry(ctx, tx, p, st.id, e)
	}
	if err != nil {
		return out, nil, err
	}
	made, err := entryOf(ctx, tx, st.id, e.ID)
	if err != nil {
		return out, nil, err
	}
	if st, err = settingsOf(ctx, tx, st.id, false); err != nil {
		return out, nil, err
	}
	out = made.show()
	out.Version = st.version
	return out, st.news(p), nil
}

// complete fills in what a client may leave out, and refuses an account that is not the portfolio's.
func (s *Service) complete(ctx context.Context, tx pgx.Tx, e *entry, accounts []Account) error {
	if e.Account == "" && len(accounts) > 0 {
		e.Account = accounts[0].ID
	}
	i := slices.IndexFunc(accounts, func(a Account) bool { return a.ID == e.Account })
	if i < 0 {
		return &api.Problem{Status: 404, Code: "not_found", Field: "account", Message: "account not found"}
	}
	if e.Currency != "" {
		return nil
	}
	e.Currency = accounts[i].Currency
	if e.Symbol == "" {
		return nil
	}
	if inst, ok := s.market.Instrument(e.Symbol); ok && inst.Currency != "" {
		e.Currency = inst.Currency
		return nil
	}
	err := tx.QueryRow(ctx, `SELECT currency FROM app.user_instruments WHERE symbol = $1`, e.Symbol).Scan(&e.Currency)
	if err == pgx.ErrNoRows {
		return nil
	}
	return err
}
