package portfolio

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"rosetree/auth"
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

// importOrder is what the client asks for.
type importOrder struct {
	portfolio   ID
	account     string // id; "" is the first
	format      string
	template    string
	fileName    string
	dry         bool
	skipInvalid bool
	data        []byte
}

// maxImportRows bounds what one file may hold.
const maxImportRows = 200_000

// importFile reads a file and takes its rows: all of them or none. A row that cannot be taken stops all,
// unless the user asked to leave such rows out.
func (s *Service) importFile(ctx context.Context, p auth.Principal, in importOrder) (ImportReport, error) {
	if _, err := s.version(ctx, p.User, in.portfolio); err != nil {
		return ImportReport{}, err
	}
	file, err := s.parse(ctx, p, in)
	if err != nil {
		return ImportReport{}, err
	}
	if len(file.Rows) > maxImportRows {
		return ImportReport{}, api.TooLarge("the file has more than %d rows", maxImportRows)
	}
	var report ImportReport
	take := func(tx pgx.Tx) (ImportReport, *news, error) {
		t := &taking{service: s, tx: tx, caller: p, order: in, file: file}
		err := t.run(ctx)
		report = t.report
		if err == nil && (in.dry || t.report.Added == 0) {
			return report, nil, errDry
		}
		return report, t.settings.news(p), err
	}
	out, err := writeWithin(ctx, s, p, importPatience, take)
	if errors.Is(err, errDry) {
		return report, nil
	}
	return out, err
}

// errDry ends a transaction that must leave nothing behind.
var errDry = errors.New("portfolio: a dry run")

// importPatience is how long the transaction of a large file may take: less than an identity context lives.
const importPatience = 25 * time.Second

func (s *Service) parse(ctx context.Context, p auth.Principal, in importOrder) (*imports.File, error) {
	if in.template == "" {
		file, err := imports.Parse(in.format, in.data)
		if err != nil && in.format == "" {
			if file, matched := s.parseByTemplates(ctx, p, in.data); matched {
				return file, nil
			}
		}
		if err != nil {
			return nil, api.Invalid("format", "%s", err)
		}
		return file, nil
	}
	mapping, err := s.template(ctx, p, in.template)
	if err != nil {
		return nil, err
	}
	file, err := imports.ParseMapped(in.template, mapping, in.data)
	if err != nil {
		return nil, api.Invalid("template", "%s", err)
	}
	return file, nil
}

// taking is one import under way.
type taking struct {
	service *Service
	tx      pgx.Tx
	caller  auth.Principal
	order   importOrder
	file    *imports.File

	settings settings
	accounts []Account
	known    map[string]bool // keys of rows that are there already, by account
	entries  []*entry
	report   ImportReport
	id       string
}

func (t *taking) run(ctx context.Context) (err error) {
	if t.settings, err = settingsOf(ctx, t.tx, t.order.portfolio, true); err != nil {
		return err
	}
	if t.accounts, err = accountsOf(ctx, t.tx, t.settings.id); err != nil {
		return err
	}
	if t.order.account != "" {
		if _, err := accountOf(ctx, t.tx, t.settings.id, t.order.account); err != nil {
			return err
		}
		slices.SortStableFunc(t.accounts, func(a, b Account) int { return cmp.Compare(b2i(b.ID == t.order.account), b2i(a.ID == t.order.account)) })
	}
	t.id = newID()
	t.report = ImportReport{Format: t.file.Format, DryRun: t.order.dry, Total: len(t.file.Rows), Instruments: []string{}, Oversold: []string{}, Rows: make([]ImportRow, 0, len(t.file.Rows))}
	if err := t.openAccounts(ctx); err != nil {
		return err
	}
	if err := t.readKeys(ctx); err != nil {
		return err
	}
	t.judge()
	if t.report.Invalid > 0 && !t.order.skipInvalid && !t.order.dry {
		return t.refusal()
	}
	if err := t.manualInstruments(ctx); err != nil {
		return err
	}
	if err := t.write(ctx); err != nil {
		return err
	}
	if err := t.findOversold(ctx); err != nil {
		return err
	}
	t.settings, err = settingsOf(ctx, t.tx, t.settings.id, false)
	if t.report.Version = t.settings.version; !t.order.dry && t.report.Added > 0 {
		t.report.Import = t.id
	} else {
		t.report.Version = 0
	}
	return err
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
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

// openAccounts makes those accounts that the file describes and the portfolio has not.
func (t *taking) openAccounts(ctx context.Context) error {
	for _, a := range t.file.Accounts {
		if a.Name == "" || t.accountNamed(a.Name) != "" {
			continue
		}
		made := Account{ID: newID(), Name: a.Name, Currency: a.Currency, CostMethod: ledger.Method(a.Method), Oversell: cmp.Or(a.Oversell, "reject"), TracksCash: a.TracksCash}
		if _, err := parseCurrency("currency", made.Currency); err != nil {
			made.Currency = t.settings.base
		}
		if made.Oversell != "short" {
			made.Oversell = "reject"
		}
		if made.CostMethod != ledger.Average && made.CostMethod != ledger.FIFO {
			made.CostMethod = ""
		}
		name, err := parseName("name", made.Name)
		if err != nil {
			return err
		}
		if _, err := t.tx.Exec(ctx, `INSERT INTO app.accounts (user_id, id, portfolio_id, name, currency, cost_method, oversell, tracks_cash) VALUES ($1, $2, $3, $4, $5, NULLIF($6, ''), $7, $8)`,
			t.caller.User, made.ID, t.settings.id, name, made.Currency, made.CostMethod, made.Oversell, made.TracksCash); err != nil {
			return err
		}
		t.accounts = append(t.accounts, made)
	}
	return nil
}

func (t *taking) accountNamed(name string) string {
	for _, a := range t.accounts {
		if strings.EqualFold(a.Name, strings.TrimSpace(name)) {
			return a.ID
		}
	}
	return ""
}

func (t *taking) readKeys(ctx context.Context) error {
	t.known = map[string]bool{}
	rows, err := t.tx.Query(ctx, `SELECT account_id, external_id FROM app.transactions WHERE portfolio_id = $1 AND external_id IS NOT NULL AND deleted_at IS NULL`, t.settings.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var account, key string
		if err := rows.Scan(&account, &key); err != nil {
			return err
		}
		t.known[account+key] = true
	}
	return rows.Err()
}

// judge gives each row its verdict.
func (t *taking) judge() {
	now := time.Now()
	for i := range t.file.Rows {
		r := &t.file.Rows[i]
		verdict := ImportRow{Row: r.Line, Verdict: verdictNew, Message: r.Hint}
		e, err := t.entry(r, now)
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
		Currency: r.Currency, Fee: r.Fee, Tax: r.Tax, Rate: r.Rate}, note: r.Note, external: cut(r.Key, 200), importID: t.id, revision: 1}
	if r.Skip != "" || r.Bad != "" {
		return e, nil
	}
	if id := t.accountNamed(r.Account); id != "" {
		e.Account = id
	}
	if r.Pair != "" {
		e.Pair = r.Pair
		if !validID(r.Pair) {
			e.Pair = uuid.NewSHA1(uuid.MustParse(string(t.settings.id)), []byte(r.Pair)).String()
		}
	}
	e.note = cut(strings.ReplaceAll(e.note, "\x00", ""), maxNote)
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
	return e, e.check(now)
}

// cut keeps a text to so many bytes, whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// splitKnown tells whether the instrument has a split around that day, so that the row would count it twice.
func (t *taking) splitKnown(e *entry) bool {
	inst, ok := t.service.market.Instrument(e.Symbol)
	return ok && slices.ContainsFunc(inst.Splits, func(s prices.Split) bool { return s.ExDate.Sub(e.At).Abs() < 4*oneDay })
}

// manualInstruments makes instruments of the owner's own for symbols that nobody knows.
func (t *taking) manualInstruments(ctx context.Context) error {
	made := map[prices.Symbol]bool{}
	names := map[prices.Symbol]*imports.Row{}
	for i := range t.file.Rows {
		if r := &t.file.Rows[i]; r.Name != "" || r.ISIN != "" {
			names[prices.Symbol(strings.ToUpper(r.Symbol))] = r
		}
	}
	for _, e := range t.entries {
		if _, known := t.service.market.Instrument(e.Symbol); e.Symbol == "" || known || made[e.Symbol] {
			continue
		}
		made[e.Symbol] = true
		name, isin := string(e.Symbol), ""
		if r := names[e.Symbol]; r != nil {
			name, isin = cmp.Or(cut(r.Name, maxName), name), r.ISIN
		}
		tag, err := t.tx.Exec(ctx, `INSERT INTO app.user_instruments (user_id, symbol, name, currency, isin) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			t.caller.User, e.Symbol, strings.ReplaceAll(name, "\x00", ""), e.Currency, text(cut(isin, 20)))
		if err != nil {
			return err
		}
		if tag.RowsAffected() > 0 {
			t.report.Instruments = append(t.report.Instruments, string(e.Symbol))
		}
	}
	slices.Sort(t.report.Instruments)
	return nil
}

const importChunk = 5000

// write takes the rows in chunks of one statement each.
func (t *taking) write(ctx context.Context) error {
	if len(t.entries) == 0 {
		return nil
	}
	sum := sha256.Sum256(t.order.data)
	counts, err := json.Marshal(map[string]int{"invalid": t.report.Invalid})
	if err != nil {
		return err
	}
	if _, err := t.tx.Exec(ctx, `INSERT INTO app.imports (user_id, id, portfolio_id, account_id, format, file_name, file_hash, rows, added, duplicates, skipped, report) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		t.caller.User, t.id, t.settings.id, t.accounts[0].ID, t.file.Format, cut(t.order.fileName, 200), sum[:], t.report.Total, t.report.Added, t.report.Duplicates, t.report.Skipped, counts); err != nil {
		return err
	}
	for chunk := range slices.Chunk(t.entries, importChunk) {
		if err := t.writeChunk(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (t *taking) writeChunk(ctx context.Context, chunk []*entry) error {
	n := len(chunk)
	columns := make([][]*string, 14)
	for i := range columns {
		columns[i] = make([]*string, n)
	}
	at := make([]time.Time, n)
	number := func(d decimal.Decimal) *string { s := d.String(); return &s }
	for i, e := range chunk {
		kind := string(e.Type)
		at[i] = e.At
		for c, v := range []*string{&e.ID, &e.Account, &kind, text(string(e.Symbol)), e.units(), nullText(e.Price), nullText(e.Amount), &e.Currency, number(e.Fee), number(e.Tax),
			nullText(e.Rate), &e.note, &e.external, text(e.Pair)} {
			columns[c][i] = v
		}
	}
	_, err := t.tx.Exec(ctx, `INSERT INTO app.transactions (user_id, portfolio_id, import_id, id, account_id, type, symbol, quantity, price, amount, currency, fee, tax, fx_rate, note, external_id, pair_id, executed_at)
		SELECT $1, $2, $3, r.id::uuid, r.account::uuid, r.type, r.symbol, r.quantity::numeric, r.price::numeric, r.amount::numeric, r.currency, r.fee::numeric, r.tax::numeric, r.rate::numeric, r.note, r.external, r.pair::uuid, r.at
		FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::timestamptz[])
		WITH ORDINALITY AS r(id, account, type, symbol, quantity, price, amount, currency, fee, tax, rate, note, external, pair, at, n) ORDER BY r.n`,
		t.caller.User, t.settings.id, t.id, columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6], columns[7], columns[8], columns[9], columns[10], columns[11], columns[12], columns[13], at)
	return err
}

// findOversold lists what the rows leave oversold; they are taken all the same.
func (t *taking) findOversold(ctx context.Context) error {
	symbols := map[prices.Symbol]bool{}
	for _, e := range t.entries {
		if e.Symbol != "" {
			symbols[e.Symbol] = true
		}
	}
	c := &contents{}
	rows, err := t.tx.Query(ctx, `SELECT `+ledgerColumns+` FROM app.transactions WHERE portfolio_id = $1 AND symbol IS NOT NULL AND deleted_at IS NULL`, t.settings.id)
	if err != nil {
		return err
	}
	err = c.scanRows(rows)
	rows.Close()
	if err != nil {
		return err
	}
	l := ledger.New(ledgerAccounts(t.accounts), c.rows)
	for symbol := range symbols {
		for _, o := range t.service.missing(l, symbol, t.settings) {
			t.report.Oversold = append(t.report.Oversold, fmt.Sprintf("%s %s from %s", o.Missing, symbol, o.At.Format(time.DateOnly)))
		}
	}
	slices.Sort(t.report.Oversold)
	return nil
}
