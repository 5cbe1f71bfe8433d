package portfolio

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// Transaction is a row of the ledger, as clients see it. Numbers are shown as they were entered.
type Transaction struct {
	ID         string        `json:"id"`
	Account    string        `json:"account"`
	Type       ledger.Type   `json:"type"`
	Symbol     prices.Symbol `json:"symbol,omitempty"`
	Quantity   *Figure       `json:"quantity,omitempty"`
	Price      *Figure       `json:"price,omitempty"`
	Amount     *Figure       `json:"amount,omitempty"`
	Currency   string        `json:"currency"`
	Fee        Figure        `json:"fee"`
	Tax        Figure        `json:"tax"`
	FxRate     *Figure       `json:"fx_rate,omitempty"`
	ExecutedAt time.Time     `json:"executed_at"`
	Note       string        `json:"note"`
	ExternalID string        `json:"external_id,omitempty"`
	Import     string        `json:"import,omitempty"`
	Pair       string        `json:"pair,omitempty"`
	Revision   int           `json:"revision"`
	Deleted    bool          `json:"deleted,omitempty"`
	Version    int64         `json:"version,omitempty"` // of the portfolio after the write that answers with it
}

// transactionFields is what a client may say of a transaction. In a change, what is not named stays.
type transactionFields struct {
	Account    *string `json:"account"`
	Type       *string `json:"type"`
	Symbol     *string `json:"symbol"`
	Quantity   *string `json:"quantity"`
	Price      *string `json:"price"`
	Amount     *string `json:"amount"`
	Currency   *string `json:"currency"`
	Fee        *string `json:"fee"`
	Tax        *string `json:"tax"`
	FxRate     *string `json:"fx_rate"`
	ExecutedAt *string `json:"executed_at"`
	Note       *string `json:"note"`
	ExternalID *string `json:"external_id"`
	Pair       *string `json:"pair"`
}

// entry is a transaction row as this room writes it.
type entry struct {
	ledger.Transaction
	note, external, importID string
	revision                 int
	deleted                  bool
	fxBase                   string // "" is the portfolio's
}

// onto puts what is named over e.
func (in *transactionFields) onto(e *entry) (err error) {
	set := func(to *decimal.NullDecimal, field string, text *string) {
		if text != nil && err == nil {
			*to, err = optional(field, text)
		}
	}
	quantity, fee, tax := decimal.NullDecimal{Decimal: e.Quantity}, decimal.NullDecimal{Decimal: e.Fee}, decimal.NullDecimal{Decimal: e.Tax}
	set(&quantity, "quantity", in.Quantity)
	set(&e.Price, "price", in.Price)
	set(&e.Amount, "amount", in.Amount)
	set(&fee, "fee", in.Fee)
	set(&tax, "tax", in.Tax)
	if in.FxRate != nil {
		e.fxBase = ""
	}
	set(&e.Rate, "fx_rate", in.FxRate)
	e.Quantity, e.Fee, e.Tax = quantity.Decimal, fee.Decimal, tax.Decimal
	if err != nil {
		return err
	}
	return in.ontoTexts(e)
}

func (in *transactionFields) ontoTexts(e *entry) (err error) {
	if in.Account != nil {
		e.Account = *in.Account
	}
	if in.Type != nil {
		e.Type = ledger.Type(*in.Type)
	}
	if in.Symbol != nil {
		e.Symbol = ""
		if *in.Symbol != "" {
			if e.Symbol, err = parseSymbol("symbol", *in.Symbol); err != nil {
				return err
			}
		}
	}
	if in.Currency != nil {
		if e.Currency, err = parseCurrency("currency", *in.Currency); err != nil {
			return err
		}
	}
	if in.ExecutedAt != nil {
		if e.At, err = parseTime("executed_at", *in.ExecutedAt); err != nil {
			return err
		}
	}
	if in.Note != nil {
		if e.note = *in.Note; len([]rune(e.note)) > maxNote || strings.ContainsRune(e.note, 0) {
			return api.Invalid("note", "must have at most %d characters, none of them the character 0", maxNote)
		}
	}
	if in.ExternalID != nil {
		if e.external = *in.ExternalID; len([]rune(e.external)) > maxExternal || strings.ContainsRune(e.external, 0) {
			return api.Invalid("external_id", "must have at most %d characters, none of them the character 0", maxExternal)
		}
	}
	if in.Pair != nil {
		if e.Pair = *in.Pair; e.Pair != "" && !validID(e.Pair) {
			return api.Invalid("pair", "must be a UUID")
		}
	}
	return nil
}

const entryColumns = `id, account_id, seq, type, COALESCE(symbol, ''), quantity, price, amount, currency, fee, tax, fx_rate, COALESCE(fx_base, ''), executed_at, note,
	COALESCE(external_id, ''), COALESCE(import_id::text, ''), COALESCE(pair_id::text, ''), revision, deleted_at IS NOT NULL`

func scanEntry(row pgx.CollectableRow) (*entry, error) {
	e := &entry{}
	var quantity, price, amount, fee, tax, rate numeric
	err := row.Scan(&e.ID, &e.Account, &e.Seq, &e.Type, &e.Symbol, &quantity, &price, &amount, &e.Currency, &fee, &tax, &rate, &e.fxBase, &e.At, &e.note,
		&e.external, &e.importID, &e.Pair, &e.revision, &e.deleted)
	e.At = e.At.UTC()
	e.Quantity, e.Fee, e.Tax = number(quantity), number(fee), number(tax)
	e.Price, e.Amount, e.Rate = nullNumber(price), nullNumber(amount), nullNumber(rate)
	return e, err
}

func (e *entry) show() Transaction {
	t := Transaction{ID: e.ID, Account: e.Account, Type: e.Type, Symbol: e.Symbol, Currency: e.Currency, Fee: plain(e.Fee), Tax: plain(e.Tax),
		ExecutedAt: e.At, Note: e.note, ExternalID: e.external, Import: e.importID, Pair: e.Pair, Revision: e.revision, Deleted: e.deleted}
	if !e.Quantity.IsZero() || e.Symbol != "" && typeRules[e.Type].quantity == must {
		f := plain(e.Quantity)
		t.Quantity = &f
	}
	t.Price, t.Amount, t.FxRate = nullPlain(e.Price), nullPlain(e.Amount), nullPlain(e.Rate)
	return t
}

func plain(d decimal.Decimal) Figure { return Figure(d.String()) }

func nullPlain(d decimal.NullDecimal) *Figure {
	if !d.Valid {
		return nil
	}
	f := plain(d.Decimal)
	return &f
}

type transactionList struct {
	Transactions []Transaction `json:"transactions"`
	Next         string        `json:"next,omitempty"` // cursor of the next page; missing on the last
}

type transactionQuery struct {
	which
	Cursor  string `json:"cursor"`
	Limit   int    `json:"limit"`
	Account string `json:"account"`
	Symbol  string `json:"symbol"`
	Type    string `json:"type"`
	Deleted bool   `json:"deleted"` // deleted rows instead, to undo them
}

// listTransactions shows the ledger, newest first.
func (s *Service) listTransactions(ctx context.Context, p auth.Principal, in transactionQuery) (out transactionList, err error) {
	if in.Limit == 0 {
		in.Limit = 100
	}
	if in.Limit < 1 || in.Limit > 1000 {
		return out, api.Invalid("limit", "must be from 1 to 1000")
	}
	at, seq, err := parseCursor(in.Cursor)
	if err != nil {
		return out, err
	}
	if in.Account != "" && !validID(in.Account) {
		return out, api.NotFound("account")
	}
	owner, sh, err := s.ownerOf(ctx, p, in.Portfolio)
	if err != nil {
		return out, err
	}
	if sh != nil && sh.hide {
		return out, api.Forbidden("this portfolio is shared without amounts")
	}
	out.Transactions = []Transaction{}
	var b pgx.Batch
	b.Queue(`SELECT `+entryColumns+` FROM app.transactions WHERE portfolio_id = $1 AND (deleted_at IS NOT NULL) = $2 AND (executed_at, seq) < ($3, $4)
		AND ($5 = '' OR account_id = NULLIF($5, '')::uuid) AND ($6 = '' OR symbol = $6) AND ($7 = '' OR type = $7)
		ORDER BY executed_at DESC, seq DESC LIMIT $8`, in.Portfolio, in.Deleted, at, seq, in.Account, strings.ToUpper(in.Symbol), in.Type, in.Limit+1).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, scanEntry)
		for i, e := range list {
			if i == in.Limit {
				out.Next = cursor(list[i-1])
				break
			}
			out.Transactions = append(out.Transactions, e.show())
		}
		return err
	})
	return out, s.db.As(auth.Principal{User: owner}).Do(ctx, &b)
}
