package portfolio

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"rosetree/portfolio/imports"
	"rosetree/prices"
)

// manualInstruments makes instruments of the owner's own for symbols that nobody knows.
func (t *taking) manualInstruments(ctx context.Context) error {
	described := t.described()
	made := map[prices.Symbol]bool{}
	for _, e := range t.entries {
		if _, known := t.service.market.Instrument(e.Symbol); e.Symbol == "" || known || made[e.Symbol] {
			continue
		}
		made[e.Symbol] = true
		if err := t.manualInstrument(ctx, e, described[e.Symbol]); err != nil {
			return err
		}
	}
	slices.Sort(t.report.Instruments)
	return nil
}

// described is what the file says of its instruments.
func (t *taking) described() map[prices.Symbol]imports.Instrument {
	all := map[prices.Symbol]imports.Instrument{}
	for i := range t.file.Rows {
		if r := &t.file.Rows[i]; r.Name != "" || r.ISIN != "" {
			all[prices.Symbol(strings.ToUpper(r.Symbol))] = imports.Instrument{Name: r.Name, ISIN: r.ISIN}
		}
	}
	for _, i := range t.file.Instruments {
		all[prices.Symbol(i.Symbol)] = i
	}
	return all
}

// manualInstrument makes one, unless its owner has it: then theirs stays as it is.
func (t *taking) manualInstrument(ctx context.Context, e *entry, i imports.Instrument) error {
	if _, err := parseCurrency("currency", i.Currency); err != nil {
		i.Currency = e.Currency
	}
	if i.Multiplier.IsZero() {
		i.Multiplier = decimal.NewFromInt(1)
	}
	name := cmp.Or(storable(i.Name, maxName), string(e.Symbol))
	tag, err := t.tx.Exec(ctx, `INSERT INTO app.user_instruments (user_id, symbol, name, currency, isin, kind, multiplier) VALUES ($1, $2, $3, $4, $5, $6, $7::text::numeric) ON CONFLICT DO NOTHING`,
		t.caller.User, e.Symbol, name, i.Currency, text(storable(i.ISIN, 20)), cmp.Or(i.Kind, prices.KindManual), i.Multiplier.String())
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	t.report.Instruments = append(t.report.Instruments, string(e.Symbol))
	if len(i.Days) == 0 {
		return nil
	}
	closes := make([]string, len(i.Closes))
	for n, c := range i.Closes {
		closes[n] = c.String()
	}
	_, err = t.tx.Exec(ctx, `INSERT INTO app.user_prices (user_id, symbol, date, close) SELECT $1, $2, p.date, p.close::numeric FROM unnest($3::date[], $4::text[]) AS p(date, close) ON CONFLICT DO NOTHING`,
		t.caller.User, e.Symbol, i.Days, closes)
	return err
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
		t.caller.User, t.id, t.settings.id, t.accounts[0].ID, t.file.Format, storable(t.order.fileName, 200), sum[:], t.report.Total, t.report.Added, t.report.Duplicates, t.report.Skipped, counts); err != nil {
		return err
	}
	done := 0
	for chunk := range slices.Chunk(t.entries, importChunk) {
		t.progress(phaseWriting, done)
		if err := insertEntries(ctx, t.tx, t.caller, t.settings.id, chunk...); err != nil {
			return err
		}
		done += len(chunk)
	}
	t.progress(phaseWriting, done)
	return nil
}

// findOversold lists what the rows leave oversold; they are taken all the same.
func (t *taking) findOversold(ctx context.Context) error {
	symbols := map[prices.Symbol]bool{}
	for _, e := range t.entries {
		if e.Symbol != "" {
			symbols[e.Symbol] = true
		}
	}
	l, err := ledgerOf(ctx, t.tx, t.accounts, `portfolio_id = $1 AND symbol = ANY ($2)`, t.settings.id, slices.Collect(maps.Keys(symbols)))
	if err != nil {
		return err
	}
	for symbol := range symbols {
		for _, o := range t.service.missing(l, symbol, t.settings) {
			t.report.Oversold = append(t.report.Oversold, fmt.Sprintf("%s %s from %s", o.Missing, symbol, o.At.Format(time.DateOnly)))
		}
	}
	slices.Sort(t.report.Oversold)
	return nil
}
