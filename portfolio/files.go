package portfolio

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/internal/api"
	"rosetree/portfolio/imports"
)

// maxImportFile is how large a file may be: 100,000 rows and more.
const maxImportFile = 64 << 20

// Routes serves files, which are no JSON operations: an import's body is the file itself.
func (s *Service) Routes(mux *http.ServeMux, authenticate func(*http.Request) (auth.Principal, error)) {
	handle := func(pattern string, serve func(http.ResponseWriter, *http.Request, auth.Principal) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			p, err := authenticate(r)
			if err == nil {
				err = serve(w, r, p)
			}
			if err != nil {
				api.WriteProblem(w, r, err)
			}
		})
	}
	handle("POST /api/portfolios/{portfolio}/import", s.serveImport)
	handle("GET /api/portfolios/{portfolio}/export", s.serveExport)
}

func (s *Service) serveImport(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	q, err := onlyParameters(r, "account", "format", "template", "file_name", "dry_run", "skip_invalid")
	if err != nil {
		return err
	}
	in := importOrder{portfolio: ID(r.PathValue("portfolio")), account: q.Get("account"), format: q.Get("format"), template: q.Get("template"), fileName: q.Get("file_name")}
	for _, flag := range []struct {
		name string
		to   *bool
	}{{"dry_run", &in.dry}, {"skip_invalid", &in.skipInvalid}} {
		if text := q.Get(flag.name); text != "" {
			on, err := strconv.ParseBool(text)
			if err != nil {
				return api.Invalid(flag.name, "must be true or false")
			}
			*flag.to = on
		}
	}
	if in.format != "" && in.template != "" {
		return api.Invalid("template", "give format or template, not both")
	}
	// A file of 100,000 rows takes longer than a request usually may.
	deadline := time.Now().Add(2 * importPatience)
	c := http.NewResponseController(w)
	if err := errors.Join(c.SetReadDeadline(deadline), c.SetWriteDeadline(deadline)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxImportFile))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return api.TooLarge("the file has more than %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return api.BadRequest("the file could not be read to its end")
	}
	in.data = data
	report, err := s.importFile(r.Context(), p, in)
	if err == nil {
		api.WriteJSON(w, http.StatusOK, report)
	}
	return err
}

func (s *Service) serveExport(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	q, err := onlyParameters(r, "format")
	if err != nil {
		return err
	}
	format := cmp.Or(q.Get("format"), "json")
	if format != "json" && format != "csv" {
		return api.Invalid("format", "must be json or csv")
	}
	own, err := s.export(r.Context(), p, ID(r.PathValue("portfolio")))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", `attachment; filename="portfolio.`+format+`"`)
	if format == "csv" {
		h.Set("Content-Type", "text/csv; charset=utf-8")
		_ = own.WriteCSV(w) // the peer may be gone; there is no one left to tell
		return nil
	}
	h.Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(own) // the peer may be gone; there is no one left to tell
	return nil
}

// onlyParameters is r's query, which must name nothing else and nothing twice: a typo is never silently lost.
func onlyParameters(r *http.Request, names ...string) (url.Values, error) {
	q := r.URL.Query()
	for name, values := range q {
		wrong := ""
		switch {
		case !slices.Contains(names, name):
			wrong = "there is no such parameter"
		case len(values) > 1:
			wrong = "is given twice"
		default:
			continue
		}
		return nil, &api.Problem{Status: 400, Code: "bad_request", Field: name, Message: wrong}
	}
	return q, nil
}

// export is all of a portfolio that its owner entered.
func (s *Service) export(ctx context.Context, p auth.Principal, id ID) (own imports.Own, err error) {
	err = s.db.As(p).Tx(ctx, func(tx pgx.Tx) error {
		own = imports.Own{Format: "rosetree", Version: 1, ExportedAt: time.Now().UTC().Truncate(time.Second), Accounts: []imports.OwnAccount{}, Instruments: []imports.OwnInstrument{}, Transactions: []imports.OwnTransaction{}}
		st, err := settingsOf(ctx, tx, id, false)
		if err != nil {
			return err
		}
		own.Portfolio = imports.OwnPortfolio{Name: st.name, BaseCurrency: st.base, CostMethod: string(st.method), Costs: string(st.costs)}
		accounts, err := accountsOf(ctx, tx, id)
		if err != nil {
			return err
		}
		names := map[string]string{}
		for _, a := range accounts {
			names[a.ID] = a.Name
			own.Accounts = append(own.Accounts, imports.OwnAccount{Name: a.Name, Currency: a.Currency, CostMethod: string(a.CostMethod), Oversell: a.Oversell, TracksCash: a.TracksCash})
		}
		if own.Instruments, err = ownInstruments(ctx, tx, id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+entryColumns+` FROM app.transactions WHERE portfolio_id = $1 AND deleted_at IS NULL ORDER BY executed_at, seq`, id)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, scanEntry)
		for _, e := range list {
			own.Transactions = append(own.Transactions, e.export(names[e.Account], st.base))
		}
		return err
	})
	return own, err
}

// ownInstruments are those of the portfolio that only its owner knows, with all prices that they gave them.
func ownInstruments(ctx context.Context, tx pgx.Tx, id ID) ([]imports.OwnInstrument, error) {
	rows, err := tx.Query(ctx, `SELECT symbol, name, currency, kind, multiplier::text, COALESCE(isin, '') FROM app.user_instruments i WHERE EXISTS (SELECT FROM app.transactions t WHERE t.portfolio_id = $1 AND t.symbol = i.symbol) ORDER BY symbol`, id)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i imports.OwnInstrument, err error) {
		return i, row.Scan(&i.Symbol, &i.Name, &i.Currency, &i.Kind, &i.Multiplier, &i.ISIN)
	})
	if err != nil || len(list) == 0 {
		return []imports.OwnInstrument{}, err
	}
	for n := range list {
		rows, err := tx.Query(ctx, `SELECT date::text, close::text FROM app.user_prices WHERE symbol = $1 ORDER BY date`, list[n].Symbol)
		if err != nil {
			return nil, err
		}
		if list[n].Prices, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p imports.OwnPrice, err error) {
			return p, row.Scan(&p.Date, &p.Close)
		}); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (e *entry) export(account, base string) imports.OwnTransaction {
	t := e.show()
	if e.Rate.Valid {
		base = cmp.Or(e.fxBase, base)
	} else {
		base = ""
	}
	say := func(f *Figure) string {
		if f == nil {
			return ""
		}
		return string(*f)
	}
	return imports.OwnTransaction{ID: e.ID, Account: account, Type: e.Type, Symbol: string(e.Symbol), Quantity: say(t.Quantity), Price: say(t.Price), Amount: say(t.Amount),
		Currency: e.Currency, Fee: string(t.Fee), Tax: string(t.Tax), FxRate: say(t.FxRate), FxBase: base, ExecutedAt: e.At, Note: e.note, Pair: e.Pair}
}
