package portfolio

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rosetree/auth"
	"rosetree/portfolio/imports"
	"rosetree/portfolio/ledger"
)

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
		var err error
		if made.Name, err = parseName("name", made.Name); err != nil {
			return err
		}
		if err := insertAccount(ctx, t.tx, t.caller, t.settings.id, made); err != nil {
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

// readKeys finds what is there already: by its key, and what is read from our own export also by its id, because it may come back
// to where it was.
func (t *taking) readKeys(ctx context.Context) error {
	t.known = map[string]bool{}
	rows, err := t.tx.Query(ctx, `SELECT account_id, COALESCE(external_id, ''), id FROM app.transactions WHERE portfolio_id = $1 AND deleted_at IS NULL`, t.settings.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var account, key, id string
		if err := rows.Scan(&account, &key, &id); err != nil {
			return err
		}
		t.known[account+key] = true
		if t.file.Own() {
			t.known[account+imports.Key(t.file.Format, id)] = true
		}
	}
	return rows.Err()
}
