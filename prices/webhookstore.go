package prices

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// takeParcels takes firings that are due, for a time; no other server takes them within it. Times here are PostgreSQL's: a server whose
// own clock is behind would try eight times within a second.
func (s store) takeParcels(ctx context.Context, term time.Duration) (all []parcel, err error) {
	b := &pgx.Batch{}
	b.Queue(`UPDATE app.alert_firings f SET webhook_next = now() + $1::interval, webhook_tries = f.webhook_tries + 1
	          FROM (SELECT user_id, id, alert_id, webhook FROM app.alert_firings WHERE webhook_next <= now() ORDER BY webhook_next LIMIT $2 FOR UPDATE SKIP LOCKED) d
	               LEFT JOIN app.alerts a ON a.user_id = d.user_id AND a.id = d.alert_id AND a.webhook = d.webhook
	         WHERE f.user_id = d.user_id AND f.id = d.id
	     RETURNING f.id::text, f.alert_id::text, f.symbol, f.kind, f.threshold::text, f.price::text, f.price_at, f.source, f.note, f.fired_at, f.user_id::text, f.webhook, f.webhook_tries, a.webhook_secret, a.webhook_sealed`,
		term, webhookAtOnce).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var p parcel
			var k keptSecret
			if err := rows.Scan(&p.ID, &p.Alert, &p.Symbol, &p.Kind, &p.Threshold, &p.Price, &p.PriceAt, &p.Source, &p.Note, &p.FiredAt, &p.user, &p.address, &p.tries, &k.open, &k.sealed); err != nil {
				return err
			}
			k.ownedID = ownedID{p.user, p.Alert}
			p.secret, p.unsigned = s.secretOf(k)
			p.PriceAt, p.FiredAt = p.PriceAt.UTC(), p.FiredAt.UTC()
			all = append(all, p)
		}
		return rows.Err()
	})
	return all, s.db.Do(ctx, b)
}

// noteParcel notes what came of a try: it is tried again after pause; nil: never.
func (s store) noteParcel(ctx context.Context, p parcel, pause *time.Duration, said error) error {
	text := ""
	if said != nil {
		text = said.Error()
	}
	b := &pgx.Batch{}
	b.Queue(`UPDATE app.alert_firings SET webhook_next = now() + $3::interval, webhook_error = $4, webhook_done = CASE WHEN $4 = '' THEN now() END WHERE user_id = $1::text::uuid AND id = $2::text::uuid`,
		p.user, p.ID, pause, text)
	return s.db.Do(ctx, b)
}
