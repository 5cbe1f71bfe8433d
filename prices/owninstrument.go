package prices

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"rosetree/internal/api"
)

// OwnInstrument is an instrument that only its owner sees: a flat, a pension, a share that no feed has. Its price is
// what the owner says, until they say another.
type OwnInstrument struct {
	Symbol     Symbol           `json:"symbol"`
	Name       string           `json:"name"`
	Kind       Kind             `json:"kind"`
	Currency   string           `json:"currency"`
	Multiplier decimal.Decimal  `json:"multiplier"`
	ISIN       string           `json:"isin,omitempty"`
	Price      *decimal.Decimal `json:"price"`
	PriceDate  *string          `json:"price_date"` // of the newest price
}

// ownOperations are what users do with instruments and prices of their own, and the search that finds them. A change is news of the portfolios that
// hold the instrument: the database sees to that.
func (s *Service) ownOperations() []api.Operation[Owner] {
	return []api.Operation[Owner]{
		api.Op("instrument.search", http.MethodGet, "/api/instruments", s.search),
		api.Op("instrument.own.list", http.MethodGet, "/api/own/instruments", s.listOwn),
		api.Op("instrument.own.set", http.MethodPut, "/api/own/instruments/{symbol}", s.setOwn),
		api.Op("instrument.own.delete", http.MethodDelete, "/api/own/instruments/{symbol}", s.deleteOwn),
		api.Op("price.own.list", http.MethodGet, "/api/own/instruments/{symbol}/prices", s.listOwnPrices),
		api.Op("price.own.set", http.MethodPut, "/api/own/instruments/{symbol}/prices", s.setOwnPrices),
		api.Op("price.own.delete", http.MethodDelete, "/api/own/instruments/{symbol}/prices/{date}", s.deleteOwnPrice),
	}
}

const ownPerUser = 1000

type ownOutput struct {
	Instruments []OwnInstrument `json:"instruments"`
}

type ownSearch struct {
	Q string `json:"q"` // part of symbol, name or ISIN
}

func (s *Service) listOwn(ctx context.Context, o Owner, in ownSearch) (ownOutput, error) {
	out := ownOutput{Instruments: []OwnInstrument{}}
	if len(in.Q) > 64 {
		return out, api.Invalid("q", "at most 64 characters")
	}
	all, err := readOwn(ctx, o.Rows)
	for _, i := range all {
		if in.Q == "" || rank(i.instrument(), strings.ToLower(strings.TrimSpace(in.Q))) > 0 {
			out.Instruments = append(out.Instruments, i)
		}
	}
	return out, err
}

// readOwn reads all instruments of one user, with their newest prices.
func readOwn(ctx context.Context, rows DB) (all []OwnInstrument, err error) {
	b := &pgx.Batch{}
	b.Queue(`SELECT i.symbol, i.name, i.kind, i.currency, i.multiplier::text, coalesce(i.isin, ''), p.close::text, p.date::text FROM app.user_instruments i
	         LEFT JOIN LATERAL (SELECT close, date FROM app.user_prices p WHERE p.user_id = i.user_id AND p.symbol = i.symbol ORDER BY date DESC LIMIT 1) p ON true
	         ORDER BY i.symbol`).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var i OwnInstrument
			var last decimal.NullDecimal
			if err := rows.Scan(&i.Symbol, &i.Name, &i.Kind, &i.Currency, &i.Multiplier, &i.ISIN, &last, &i.PriceDate); err != nil {
				return err
			}
			i.Price = decimalPointer(last)
			all = append(all, i)
		}
		return rows.Err()
	})
	return all, rows.Do(ctx, b)
}

func (i OwnInstrument) instrument() Instrument {
	return Instrument{Symbol: i.Symbol, Name: i.Name, Kind: i.Kind, Currency: i.Currency, MinorUnit: one, Multiplier: i.Multiplier, ISIN: i.ISIN}
}

type ownInput struct {
	Symbol     string `json:"symbol"`
	Name       string `json:"name"`
	Kind       Kind   `json:"kind"`
	Currency   string `json:"currency"`
	Multiplier string `json:"multiplier"`
	ISIN       string `json:"isin"`
}

// setOwn makes or changes an instrument of the caller's own. A symbol that everybody knows stays what it is.
func (s *Service) setOwn(ctx context.Context, o Owner, in ownInput) (OwnInstrument, error) {
	if in.Kind == "" {
		in.Kind = KindManual
	}
	i, err := instrumentInput{Symbol: in.Symbol, Name: in.Name, Kind: in.Kind, Currency: in.Currency, Multiplier: in.Multiplier, ISIN: in.ISIN}.instrument()
	if err != nil {
		return OwnInstrument{}, err
	}
	if !i.MinorUnit.Equal(one) {
		return OwnInstrument{}, api.Invalid("currency", "give prices in %s: nothing quotes an instrument of your own", i.Currency)
	}
	if _, shared := s.Book.Instrument(i.Symbol); shared {
		return OwnInstrument{}, &api.Problem{Status: http.StatusConflict, Code: "conflict", Message: string(i.Symbol) + " is an instrument that everybody sees: take another symbol", Field: "symbol"}
	}
	err = o.Rows.Tx(ctx, func(tx pgx.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM app.user_instruments WHERE symbol <> $1`, i.Symbol).Scan(&n); err != nil {
			return err
		}
		if n >= ownPerUser {
			return &api.Problem{Status: http.StatusConflict, Code: "too_many_instruments", Message: "at most 1000 instruments of your own"}
		}
		done, err := tx.Exec(ctx, `UPDATE app.user_instruments SET name = $2, kind = $3, currency = $4, multiplier = $5::text::numeric, isin = nullif($6, '') WHERE symbol = $1`,
			i.Symbol, i.Name, i.Kind, i.Currency, i.Multiplier.String(), i.ISIN)
		if err != nil || done.RowsAffected() > 0 {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO app.user_instruments (user_id, symbol, name, kind, currency, multiplier, isin) VALUES ($1::text::uuid, $2, $3, $4, $5, $6::text::numeric, nullif($7, ''))`,
			o.ID, i.Symbol, i.Name, i.Kind, i.Currency, i.Multiplier.String(), i.ISIN); err != nil {
			return err
		}
		// A portfolio may hold the symbol already, as something that nobody knew.
		_, err = tx.Exec(ctx, `UPDATE app.portfolios SET version = version + 1 WHERE id IN (SELECT portfolio_id FROM app.transactions WHERE symbol = $1)`, i.Symbol)
		return err
	})
	return OwnInstrument{Symbol: i.Symbol, Name: i.Name, Kind: i.Kind, Currency: i.Currency, Multiplier: i.Multiplier, ISIN: i.ISIN}, err
}

type symbolInput struct {
	Symbol string `json:"symbol"`
}

// deleteOwn also deletes its prices. What is in a ledger cannot be deleted.
func (s *Service) deleteOwn(ctx context.Context, o Owner, in symbolInput) (api.None, error) {
	return api.None{}, o.Rows.Tx(ctx, func(tx pgx.Tx) error {
		var held bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM app.transactions WHERE symbol = upper($1) AND deleted_at IS NULL)`, in.Symbol).Scan(&held); err != nil {
			return err
		}
		if held {
			return &api.Problem{Status: http.StatusConflict, Code: "conflict", Message: "a portfolio has transactions of it", Field: "symbol"}
		}
		done, err := tx.Exec(ctx, `DELETE FROM app.user_instruments WHERE symbol = upper($1)`, in.Symbol)
		if err == nil && done.RowsAffected() == 0 {
			return api.NotFound("instrument")
		}
		return err
	})
}

type ownPrices struct {
	Symbol Symbol        `json:"symbol"`
	Prices []postedClose `json:"prices"`
}

// listOwnPrices answers the newest first.
func (s *Service) listOwnPrices(ctx context.Context, o Owner, in symbolInput) (ownPrices, error) {
	out := ownPrices{Symbol: Symbol(strings.ToUpper(in.Symbol)), Prices: []postedClose{}}
	known := false
	b := &pgx.Batch{}
	b.Queue(`SELECT EXISTS (SELECT FROM app.user_instruments WHERE symbol = $1)`, out.Symbol).QueryRow(func(row pgx.Row) error { return row.Scan(&known) })
	b.Queue(`SELECT date::text, close::text FROM app.user_prices WHERE symbol = $1 ORDER BY date DESC LIMIT $2`, out.Symbol, maxCandles).Query(func(rows pgx.Rows) error {
		var p postedClose
		_, err := pgx.ForEachRow(rows, []any{&p.Date, &p.Close}, func() error { out.Prices = append(out.Prices, p); return nil })
		return err
	})
	if err := o.Rows.Do(ctx, b); err != nil {
		return out, err
	}
	if !known {
		return out, api.NotFound("instrument")
	}
	return out, nil
}

type ownPricesInput struct {
	Symbol string        `json:"symbol"`
	Prices []postedClose `json:"prices"`
}

// setOwnPrices writes prices of days, all or none; that of a day that has one is replaced.
func (s *Service) setOwnPrices(ctx context.Context, o Owner, in ownPricesInput) (historyOutput, error) {
	symbol, err := ParseSymbol(in.Symbol)
	if err != nil {
		return historyOutput{}, api.Invalid("symbol", "%s", err)
	}
	if len(in.Prices) == 0 {
		return historyOutput{}, api.Invalid("prices", "name at least one price")
	}
	dates, closes := make([]time.Time, len(in.Prices)), make([]string, len(in.Prices))
	for n, posted := range in.Prices {
		c, err := posted.close("prices", symbol)
		if err != nil {
			return historyOutput{}, err
		}
		if slices.ContainsFunc(dates[:n], c.Date.Equal) {
			return historyOutput{}, api.Invalid("prices.date", "%s is there twice", posted.Date)
		}
		dates[n], closes[n] = c.Date, c.Close.String()
	}
	err = o.Rows.Tx(ctx, func(tx pgx.Tx) error {
		var known bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM app.user_instruments WHERE symbol = $1)`, symbol).Scan(&known); err != nil {
			return err
		}
		if !known {
			return api.NotFound("instrument")
		}
		_, err := tx.Exec(ctx, `INSERT INTO app.user_prices (user_id, symbol, date, close)
			SELECT $1::text::uuid, $2, date, close FROM unnest($3::date[], $4::text[]::numeric[]) AS x (date, close)
			ON CONFLICT (user_id, symbol, date) DO UPDATE SET close = excluded.close`, o.ID, symbol, dates, closes)
		return err
	})
	return historyOutput{symbol, len(closes)}, err
}

type ownPriceInput struct {
	Symbol string `json:"symbol"`
	Date   string `json:"date"`
}

func (s *Service) deleteOwnPrice(ctx context.Context, o Owner, in ownPriceInput) (api.None, error) {
	if _, err := time.Parse(time.DateOnly, in.Date); err != nil {
		return api.None{}, api.NotFound("price")
	}
	return api.None{}, o.one(ctx, "price", `DELETE FROM app.user_prices WHERE symbol = upper($1) AND date = $2::text::date`, in.Symbol, in.Date)
}
