package portfolio

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"rosetree/internal/api"
	"rosetree/portfolio/imports"
	"rosetree/portfolio/ledger"
	"rosetree/prices"
)

// The verdicts on a row of an import.
const (
	verdictNew       = "new"
	verdictDuplicate = "duplicate" // it is in the ledger already
	verdictInvalid   = "invalid"   // it cannot be taken; Message says why
	verdictSkipped   = "skipped"   // it is none of the ledger's business
)

// ImportRow is the verdict on one row.
type ImportRow struct {
	Row         int          `json:"row"` // line of the file
	Verdict     string       `json:"verdict"`
	Message     string       `json:"message,omitempty"`
	Transaction *Transaction `json:"transaction,omitempty"`
}

// ImportReport says what an import did or, in a dry run, would do.
type ImportReport struct {
	Import      string      `json:"import,omitempty"` // to undo it; missing in a dry run, and where nothing was added
	Format      string      `json:"format"`
	DryRun      bool        `json:"dry_run"`
	Total       int         `json:"total"`
	Added       int         `json:"added"`
	Duplicates  int         `json:"duplicates"`
	Invalid     int         `json:"invalid"`
	Skipped     int         `json:"skipped"`
	Instruments []string    `json:"instruments"` // symbols that nobody knew: they are manual instruments now
	Oversold    []string    `json:"oversold"`    // what would be sold beyond what is held: taken, with unknown profit
	Rows        []ImportRow `json:"rows"`
	Version     int64       `json:"version,omitempty"`
}

// judge gives each row its verdict.
func (t *taking) judge() {
	now := time.Now()
	for i := range t.file.Rows {
		if i%longImport == 0 {
			t.progress(phaseChecking, i)
		}
		r := &t.file.Rows[i]
		e, err := t.entry(r, now)
		verdict := ImportRow{Row: r.Line, Verdict: verdictNew, Message: r.Hint}
		switch {
		case r.Skip != "":
			verdict.Verdict, verdict.Message = verdictSkipped, r.Skip
			t.report.Skipped++
		case r.Bad != "" || err != nil:
			verdict.Verdict, verdict.Message = verdictInvalid, r.Bad
			if r.Bad == "" {
				p := api.ProblemOf(err)
				verdict.Message = strings.TrimSpace(p.Field + " " + p.Message)
			}
			t.report.Invalid++
		case t.known[e.Account+e.external]:
			verdict.Verdict = verdictDuplicate
			t.report.Duplicates++
		case r.Hint == imports.SplitNote && t.splitKnown(e):
			verdict.Verdict, verdict.Message = verdictSkipped, "a split that the instrument has already"
			t.report.Skipped++
		default:
			t.known[e.Account+e.external] = true
			t.entries = append(t.entries, e)
			t.report.Added++
			shown := e.show()
			verdict.Transaction = &shown
		}
		t.report.Rows = append(t.report.Rows, verdict)
	}
}

// entry makes a row of the ledger and holds it against the same rules as one that is entered by hand.
func (t *taking) entry(r *imports.Row, now time.Time) (*entry, error) {
	e := &entry{Transaction: ledger.Transaction{ID: newID(), Account: t.accounts[0].ID, At: r.At.Truncate(time.Microsecond), Type: r.Type, Quantity: r.Quantity, Price: r.Price, Amount: r.Amount,
		Currency: r.Currency, Fee: r.Fee, Tax: r.Tax}, note: storable(r.Note, maxNote), external: storable(r.Key, maxExternal), importID: t.id, revision: 1}
	if r.Skip != "" || r.Bad != "" {
		return e, nil
	}
	if id := t.accountNamed(r.Account); id != "" {
		e.Account = id
	} else if r.Account != "" {
		r.Tell("the portfolio has no account %s: it goes to %s", r.Account, t.accounts[0].Name)
	}
	if r.Pair != "" {
		e.Pair = r.Pair
		if !validID(r.Pair) {
			e.Pair = uuid.NewSHA1(uuid.MustParse(string(t.settings.id)), []byte(r.Pair)).String()
		}
	}
	if r.Symbol != "" {
		symbol, err := parseSymbol("symbol", strings.ReplaceAll(r.Symbol, " ", "-"))
		if err != nil {
			return e, err
		}
		e.Symbol = symbol
	}
	if _, err := parseCurrency("currency", e.Currency); err != nil {
		return e, err
	}
	if err := t.recordRate(e, r); err != nil {
		return e, err
	}
	return e, e.check(t.settings.base, now)
}

// recordRate keeps a row's rate with the currency that it is into. One of the portfolio's own currency is into another one,
// whichever that is.
func (t *taking) recordRate(e *entry, r *imports.Row) error {
	if !r.Rate.Valid {
		return nil
	}
	e.Rate = r.Rate
	if r.RateBase != "" && r.RateBase != t.settings.base {
		_, err := parseCurrency("fx_base", r.RateBase)
		e.fxBase = r.RateBase
		return err
	}
	if e.ratesItself(t.settings.base) {
		e.Rate = decimal.NullDecimal{}
		r.Tell("its exchange rate is into another currency and not counted")
	}
	return nil
}

// storable is a text as PostgreSQL can keep it: without the character 0, and at most n characters long.
func storable(s string, n int) string {
	text := []rune(strings.ReplaceAll(s, "\x00", ""))
	return string(text[:min(n, len(text))])
}

// splitKnown tells whether the instrument has a split around that day, so that the row would count it twice.
func (t *taking) splitKnown(e *entry) bool {
	inst, ok := t.service.market.Instrument(e.Symbol)
	return ok && slices.ContainsFunc(inst.Splits, func(s prices.Split) bool { return s.ExDate.Sub(e.At).Abs() < 4*oneDay })
}

// refusal names the first rows that cannot be taken.
func (t *taking) refusal() error {
	var first []string
	for _, r := range t.report.Rows {
		if r.Verdict == verdictInvalid && len(first) < 3 {
			first = append(first, fmt.Sprintf("row %d: %s", r.Row, r.Message))
		}
	}
	return &api.Problem{Status: 422, Code: "invalid_rows", Message: fmt.Sprintf("%d rows cannot be taken, so nothing was changed (%s); use dry_run for all verdicts, or skip_invalid to leave them out",
		t.report.Invalid, strings.Join(first, "; "))}
}
