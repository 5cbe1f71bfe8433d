package portfolio

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/portfolio/ledger"
)

// entryRow is an entry by the names of its columns.
type entryRow struct {
	User      auth.UserID `json:"user_id"`
	Portfolio ID          `json:"portfolio_id"`
	ID        string      `json:"id"`
	Account   string      `json:"account_id"`
	Type      ledger.Type `json:"type"`
	Symbol    *string     `json:"symbol"`
	Quantity  *string     `json:"quantity"`
	Price     *string     `json:"price"`
	Amount    *string     `json:"amount"`
	Currency  string      `json:"currency"`
	Fee       string      `json:"fee"`
	Tax       string      `json:"tax"`
	Rate      *string     `json:"fx_rate"`
	RateBase  *string     `json:"fx_base"`
	At        time.Time   `json:"executed_at"`
	Note      string      `json:"note"`
	External  *string     `json:"external_id"`
	Import    *string     `json:"import_id"`
	Pair      *string     `json:"pair_id"`
}

const (
	fixedColumns   = `user_id, portfolio_id, id`
	changedColumns = `account_id, type, symbol, quantity, price, amount, currency, fee, tax, fx_rate, fx_base, executed_at, note, external_id, import_id, pair_id`
)

func rowsOf(p auth.Principal, id ID, list ...*entry) ([]byte, error) {
	rows := make([]entryRow, len(list))
	for i, e := range list {
		rows[i] = entryRow{User: p.User, Portfolio: id, ID: e.ID, Account: e.Account, Type: e.Type, Symbol: text(string(e.Symbol)), Quantity: e.units(), Price: nullText(e.Price), Amount: nullText(e.Amount),
			Currency: e.Currency, Fee: e.Fee.String(), Tax: e.Tax.String(), Rate: nullText(e.Rate), RateBase: text(e.fxBase), At: e.At, Note: e.note, External: text(e.external), Import: text(e.importID), Pair: text(e.Pair)}
	}
	return json.Marshal(rows)
}

// insertEntries writes new rows in one statement, so that the portfolio's version grows once. Their order is that of entry.
func insertEntries(ctx context.Context, tx pgx.Tx, p auth.Principal, id ID, list ...*entry) error {
	rows, err := rowsOf(p, id, list...)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO app.transactions (`+fixedColumns+`, `+changedColumns+`) SELECT `+fixedColumns+`, `+changedColumns+`
		FROM json_populate_recordset(NULL::app.transactions, $1) WITH ORDINALITY AS r ORDER BY r.ordinality`, rows)
	return err
}

// updateEntry writes e over the row of its id.
func updateEntry(ctx context.Context, tx pgx.Tx, p auth.Principal, id ID, e *entry) error {
	row, err := rowsOf(p, id, e)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE app.transactions SET (`+changedColumns+`, deleted_at) = (SELECT `+changedColumns+`, CASE WHEN $2 THEN now() END FROM json_populate_recordset(NULL::app.transactions, $1))
		WHERE user_id = $3 AND portfolio_id = $4 AND id = $5`, row, e.deleted, p.User, id, e.ID)
	return err
}

// units are null where the type has none.
func (e *entry) units() *string {
	if e.Quantity.IsZero() && typeRules[e.Type].quantity != must {
		return nil
	}
	t := e.Quantity.String()
	return &t
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func nullText(d decimal.NullDecimal) *string {
	if !d.Valid {
		return nil
	}
	t := d.Decimal.String()
	return &t
}
