package portfolio

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// settings is a portfolio's own row.
type settings struct {
	id      ID
	name    string
	base    string
	method  ledger.Method
	costs   ledger.Costs
	version int64
	created time.Time
}

const settingsColumns = `id, name, base_currency, cost_method, costs, version, created_at`

func (s *settings) scan(row pgx.CollectableRow) error {
	return row.Scan(&s.id, &s.name, &s.base, &s.method, &s.costs, &s.version, &s.created)
}

// contents is what one read brings: everything, or what changed since an earlier read.
type contents struct {
	settings settings
	accounts []ledger.Account
	rows     []*ledger.Transaction
	gone     []string // ids of deleted rows; only among changes
	own      map[prices.Symbol]manual
	mark     string // transaction id below which everything was visible
}

// ledgerColumns leave out a recorded rate that was meant for another base currency, and one of the base currency itself (4).
const ledgerColumns = `id, account_id, seq, executed_at, type, COALESCE(symbol, ''), quantity, price, amount, currency, fee, tax,
	CASE (SELECT p.base_currency FROM app.portfolios p WHERE p.id = $1) WHEN currency THEN NULL WHEN COALESCE(fx_base, (SELECT p.base_currency FROM app.portfolios p WHERE p.id = $1)) THEN fx_rate END, COALESCE(pair_id::text, ''), deleted_at IS NOT NULL`

// read reads portfolio id in its owner's context. With since, the mark of an earlier read, only rows
// that were written after it come: everything older than the oldest transaction then under way was
// seen. Some may come twice, which does no harm.
func (s *Service) read(ctx context.Context, owner auth.UserID, id ID, since string) (*contents, error) {
	c := &contents{own: map[prices.Symbol]manual{}}
	found := false
	var b pgx.Batch
	b.Queue(`SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text, `+settingsColumns+` FROM app.portfolios WHERE id = $1`, id).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			found = true
			st := &c.settings
			if err := rows.Scan(&c.mark, &st.id, &st.name, &st.base, &st.method, &st.costs, &st.version, &st.created); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	b.Queue(`SELECT id, name, currency, COALESCE(cost_method, ''), oversell = 'short', tracks_cash FROM app.accounts WHERE portfolio_id = $1 ORDER BY created_at, id`, id).Query(c.scanAccounts)
	b.Queue(`SELECT i.symbol, i.name, i.kind, i.currency, i.multiplier, COALESCE(i.isin, ''), p.close, p.date FROM app.user_instruments i
		LEFT JOIN LATERAL (SELECT close, date FROM app.user_prices p WHERE p.user_id = i.user_id AND p.symbol = i.symbol ORDER BY date DESC LIMIT 1) p ON true`).Query(c.scanOwn)
	if since == "" {
		b.Queue(`SELECT `+ledgerColumns+` FROM app.transactions WHERE portfolio_id = $1 AND deleted_at IS NULL`, id).Query(c.scanRows)
	} else {
		b.Queue(`SELECT `+ledgerColumns+` FROM app.transactions WHERE portfolio_id = $1 AND age(xmin) <= age($2::text::xid)`, id, since).Query(c.scanRows)
	}
	if err := s.db.As(auth.Principal{User: owner}).Do(ctx, &b); err != nil {
		return nil, fmt.Errorf("portfolio: read: %w", err)
	}
	if !found {
		return nil, api.NotFound("portfolio")
	}
	return c, nil
}

func (c *contents) scanAccounts(rows pgx.Rows) error {
	for rows.Next() {
		var a ledger.Account
		if err := rows.Scan(&a.ID, &a.Name, &a.Currency, &a.Method, &a.Short, &a.TracksCash); err != nil {
			return err
		}
		c.accounts = append(c.accounts, a)
	}
	return rows.Err()
}

func (c *contents) scanOwn(rows pgx.Rows) error {
	for rows.Next() {
		var m manual
		var multiplier, last pgtype.Numeric
		var at pgtype.Date
		if err := rows.Scan(&m.Symbol, &m.Name, &m.Kind, &m.Currency, &multiplier, &m.ISIN, &last, &at); err != nil {
			return err
		}
		m.Multiplier, m.price, m.at = number(multiplier), nullNumber(last), at.Time
		c.own[m.Symbol] = m
	}
	return rows.Err()
}

func (c *contents) scanRows(rows pgx.Rows) error {
	var quantity, price, amount, fee, tax, rate pgtype.Numeric
	accounts := map[[16]byte]string{} // few: their text is made once
	var account pgtype.UUID
	for rows.Next() {
		t := &ledger.Transaction{}
		deleted := false
		if err := rows.Scan(&t.ID, &account, &t.Seq, &t.At, &t.Type, &t.Symbol, &quantity, &price, &amount, &t.Currency, &fee, &tax, &rate, &t.Pair, &deleted); err != nil {
			return err
		}
		if deleted {
			c.gone = append(c.gone, t.ID)
			continue
		}
		if accounts[account.Bytes] == "" {
			accounts[account.Bytes] = account.String()
		}
		t.Account = accounts[account.Bytes]
		t.At = t.At.UTC()
		t.Quantity, t.Fee, t.Tax = number(quantity), number(fee), number(tax)
		t.Price, t.Amount, t.Rate = nullNumber(price), nullNumber(amount), nullNumber(rate)
		c.rows = append(c.rows, t)
	}
	return rows.Err()
}

// number is a NUMERIC as it stands; null counts 0.
func number(n pgtype.Numeric) decimal.Decimal {
	if !n.Valid || n.Int == nil {
		return decimal.Decimal{}
	}
	return decimal.NewFromBigInt(n.Int, n.Exp)
}

func nullNumber(n pgtype.Numeric) decimal.NullDecimal {
	return decimal.NullDecimal{Decimal: number(n), Valid: n.Valid}
}
