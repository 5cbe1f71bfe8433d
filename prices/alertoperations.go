package prices

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"rosetree/internal/api"
)

// alertOperations are what users do with their alerts.
func (s *Service) alertOperations() []api.Operation[Owner] {
	return []api.Operation[Owner]{
		api.Op("alert.list", http.MethodGet, "/api/alerts", s.listAlerts),
		api.Op("alert.add", http.MethodPost, "/api/alerts", s.addAlert),
		api.Op("alert.update", http.MethodPatch, "/api/alerts/{id}", s.updateAlert),
		api.Op("alert.delete", http.MethodDelete, "/api/alerts/{id}", s.deleteAlert),
		api.Op("alert.firing.list", http.MethodGet, "/api/alerts/firings", s.listFirings),
		api.Op("alert.seen", http.MethodPost, "/api/alerts/seen", s.seeAlerts).WithStatus(http.StatusOK),
	}
}

const alertColumns = `id::text, symbol, kind, threshold::text, shares_at, once, armed, webhook, note, created_at, fired_at, fired_price::text, user_id::text, webhook_secret, webhook_sealed`

func (s *Service) scanAlert(row pgx.Row) (a Alert, err error) {
	var shares time.Time
	var fired decimal.NullDecimal
	var k keptSecret
	err = row.Scan(&a.ID, &a.Symbol, &a.Kind, &a.Threshold, &shares, &a.Once, &a.Armed, &a.Webhook, &a.Note, &a.CreatedAt, &a.FiredAt, &fired, &k.user, &k.open, &k.sealed)
	k.id = a.ID
	if err == nil && a.Webhook != nil {
		if _, lost := s.store.secretOf(k); lost != nil {
			a.WebhookError = lost.Error()
		}
	}
	a.Threshold, a.Fired, a.CreatedAt = s.alerts.shown(a.Symbol, a.Kind, a.Threshold, shares), decimalPointer(fired), a.CreatedAt.UTC()
	if a.FiredAt != nil {
		*a.FiredAt = a.FiredAt.UTC()
	}
	return a, err
}

type alertsInput struct {
	Symbol string `json:"symbol"`
}

type alertsOutput struct {
	Alerts []Alert `json:"alerts"`
}

func (s *Service) listAlerts(ctx context.Context, o Owner, in alertsInput) (alertsOutput, error) {
	out := alertsOutput{Alerts: []Alert{}}
	b := &pgx.Batch{}
	b.Queue(`SELECT `+alertColumns+` FROM app.alerts WHERE user_id = (SELECT app.uid()) AND ($1 = '' OR symbol = $1) ORDER BY created_at DESC, id DESC`, strings.ToUpper(in.Symbol)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			a, err := s.scanAlert(rows)
			if err != nil {
				return err
			}
			out.Alerts = append(out.Alerts, a)
		}
		return rows.Err()
	})
	return out, o.Rows.Do(ctx, b)
}

func (s *Service) addAlert(ctx context.Context, o Owner, in alertInput) (a Alert, err error) {
	i, err := s.instrument(in.Symbol)
	if err != nil {
		return a, err
	}
	kind := AlertKind(in.Kind)
	if kind != AlertAbove && kind != AlertBelow && kind != AlertDayPct {
		return a, api.Invalid("kind", "%q is not one of above, below, day_pct", in.Kind)
	}
	threshold, err := parseThreshold(kind, in.Threshold)
	if err == nil {
		err = checkNote(in.Note)
	}
	if err != nil {
		return a, err
	}
	secret, err := webhookSecret(in.Webhook)
	if err != nil {
		return a, err
	}
	id, err := newID()
	if err != nil {
		return a, err
	}
	err = o.Rows.Tx(ctx, func(tx pgx.Tx) error {
		var n int
		row := ownedID{id: id}
		if err := tx.QueryRow(ctx, `SELECT count(*), (SELECT app.uid())::text FROM app.alerts WHERE user_id = (SELECT app.uid())`).Scan(&n, &row.user); err != nil {
			return err
		}
		if n >= alertsPerUser {
			return &api.Problem{Status: http.StatusConflict, Code: "too_many_alerts", Message: fmt.Sprintf("at most %d alerts", alertsPerUser)}
		}
		a, err = s.scanAlert(tx.QueryRow(ctx, `INSERT INTO app.alerts (user_id, id, symbol, kind, threshold, once, note, webhook, webhook_sealed, shares_at)
			VALUES ($1::text::uuid, $2::text::uuid, $3, $4, $5::text::numeric, $6, $7, $8, $9, $10) RETURNING `+alertColumns,
			o.ID, id, i.Symbol, kind, threshold.String(), in.Once == nil || *in.Once, in.Note, emptyIsNull(in.Webhook), s.store.seal(row, secret), s.Book.today(i.Symbol).date()))
		return err
	})
	a.Secret = deref(secret)
	return a, s.alertChanged(ctx, o, id, err)
}

type alertChange struct {
	ID        string  `json:"id"`
	Threshold *string `json:"threshold"`
	Once      *bool   `json:"once"`
	Armed     *bool   `json:"armed"` // true: it can fire again
	Note      *string `json:"note"`
	Webhook   *string `json:"webhook"` // "": none; another address gets another secret
}

func (s *Service) updateAlert(ctx context.Context, o Owner, in alertChange) (a Alert, err error) {
	if err := checkID("alert", in.ID); err != nil {
		return a, err
	}
	if in.Note != nil {
		if err := checkNote(*in.Note); err != nil {
			return a, err
		}
	}
	secret, err := webhookSecret(in.Webhook)
	if err != nil {
		return a, err
	}
	err = o.Rows.Tx(ctx, func(tx pgx.Tx) error {
		var kind AlertKind
		var symbol Symbol
		var row ownedID
		if err := tx.QueryRow(ctx, `SELECT kind, symbol, user_id::text, id::text FROM app.alerts WHERE user_id = (SELECT app.uid()) AND id = $1::text::uuid FOR UPDATE`, in.ID).Scan(&kind, &symbol, &row.user, &row.id); err != nil {
			return notThere("alert", err)
		}
		var threshold *string
		if in.Threshold != nil {
			d, err := parseThreshold(kind, *in.Threshold)
			if err != nil {
				return err
			}
			text := d.String()
			threshold = &text
			if in.Armed == nil { // who moves a threshold waits for it
				yes := true
				in.Armed = &yes
			}
		}
		a, err = s.scanAlert(tx.QueryRow(ctx, `UPDATE app.alerts SET threshold = coalesce($2::text::numeric, threshold), shares_at = CASE WHEN $2 IS NULL THEN shares_at ELSE $3 END,
			once = coalesce($4, once), armed = coalesce($5, armed), note = coalesce($6, note),
			webhook = CASE WHEN $7::text IS NULL THEN webhook ELSE nullif($7, '') END,
			webhook_secret = CASE WHEN $7::text IS NULL THEN webhook_secret END, webhook_sealed = CASE WHEN $7::text IS NULL THEN webhook_sealed ELSE $8::bytea END
			WHERE user_id = (SELECT app.uid()) AND id = $1::text::uuid RETURNING `+alertColumns, in.ID, threshold, s.Book.today(symbol).date(), in.Once, in.Armed, in.Note, in.Webhook, s.store.seal(row, secret)))
		return err
	})
	a.Secret = deref(secret)
	return a, s.alertChanged(ctx, o, in.ID, err)
}

func (s *Service) deleteAlert(ctx context.Context, o Owner, in idInput) (api.None, error) {
	err := checkID("alert", in.ID)
	if err == nil {
		err = o.one(ctx, "alert", `DELETE FROM app.alerts WHERE user_id = (SELECT app.uid()) AND id = $1::text::uuid`, in.ID)
	}
	return api.None{}, s.alertChanged(ctx, o, in.ID, err)
}

// alertChanged tells every server, where err is nil.
func (s *Service) alertChanged(ctx context.Context, o Owner, id string, err error) error {
	if err == nil {
		s.announce(ctx, hint{newAlert, o.ID, id})
	}
	return err
}

type firingsInput struct {
	Unseen bool   `json:"unseen"`
	Before string `json:"before"` // id of the firing before which to go on
	Limit  int    `json:"limit"`
}

type firingsOutput struct {
	Firings []Firing `json:"firings"` // newest first
}

const maxFirings = 200

func (s *Service) listFirings(ctx context.Context, o Owner, in firingsInput) (firingsOutput, error) {
	out := firingsOutput{Firings: []Firing{}}
	switch {
	case in.Limit < 0 || in.Limit > maxFirings:
		return out, api.Invalid("limit", "from 1 to %d", maxFirings)
	case in.Limit == 0:
		in.Limit = maxFirings
	case in.Before != "" && checkID("", in.Before) != nil:
		return out, api.Invalid("before", "is no id of a firing")
	}
	all, err := readFirings(ctx, o.Rows, in)
	for _, f := range all {
		out.Firings = append(out.Firings, f.Firing)
	}
	return out, err
}

// readFirings reads the newest first. Ids grow with time.
func readFirings(ctx context.Context, rows DB, in firingsInput) (all []ownedFiring, err error) {
	b := &pgx.Batch{}
	b.Queue(firingColumns+` WHERE f.user_id = (SELECT app.uid()) AND (NOT $1 OR f.seen_at IS NULL) AND ($2 = '' OR f.id < nullif($2, '')::uuid) ORDER BY f.id DESC LIMIT $3`, in.Unseen, in.Before, in.Limit).Query(scanFirings(&all))
	return all, rows.Do(ctx, b)
}

type seenInput struct {
	IDs []string `json:"ids"`
	All bool     `json:"all"`
}

type seenOutput struct {
	Seen int `json:"seen"` // how many had not been seen before
}

// seeAlerts notes that the user has seen firings; they are not told again.
func (s *Service) seeAlerts(ctx context.Context, o Owner, in seenInput) (out seenOutput, err error) {
	if in.All == (len(in.IDs) > 0) || len(in.IDs) > maxFirings {
		return out, api.Invalid("ids", "from 1 to %d ids of firings, or all: true", maxFirings)
	}
	for _, id := range in.IDs {
		if checkID("", id) != nil {
			return out, api.Invalid("ids", "%q is no id of a firing", id)
		}
	}
	var seen []string
	b := &pgx.Batch{}
	b.Queue(`UPDATE app.alert_firings SET seen_at = now() WHERE user_id = (SELECT app.uid()) AND seen_at IS NULL AND ($1 OR id = ANY ($2::text[]::uuid[])) RETURNING id::text`, in.All, in.IDs).Query(func(rows pgx.Rows) error {
		seen, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err := o.Rows.Do(ctx, b); err != nil {
		return out, err
	}
	for at := 0; at < len(seen); at += maxFirings {
		s.announce(ctx, hint{newSeen, o.ID, strings.Join(seen[at:min(at+maxFirings, len(seen))], ",")})
	}
	return seenOutput{len(seen)}, nil
}

func emptyIsNull(text *string) *string {
	if text == nil || *text == "" {
		return nil
	}
	return text
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
