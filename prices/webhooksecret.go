package prices

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Sealer keeps the secrets of webhooks unreadable in the database: *auth.Sealer.
type Sealer interface {
	Seal(text string, place ...string) []byte
	Open(sealed []byte, place ...string) (string, error)
	Newest() []byte // what it seals begins so
}

var (
	errNoAddress  = errors.New("the alert no longer names this address")
	errLostSecret = errors.New("its secret cannot be opened any more: give the address again, which makes a new one")
)

// webhookSecret checks an address that is given and makes the secret that goes with it.
func webhookSecret(address *string) (*string, error) {
	if address == nil || *address == "" {
		return nil, nil
	}
	if err := checkWebhook(*address); err != nil {
		return nil, err
	}
	secret := rand.Text() + rand.Text()
	return &secret, nil
}

// keptSecret is an alert's secret as its row has it.
type keptSecret struct {
	ownedID
	open   *string // in the clear, by a server of the release before 011: newer than what is sealed, because we empty it
	sealed []byte
}

// place is the row that the secret is of; the ids are the database's own spelling.
func (k ownedID) place() []string { return []string{"alerts.webhook_secret", k.user, k.id} }

func (s store) seal(k ownedID, secret *string) []byte {
	if secret == nil {
		return nil
	}
	return s.sealer.Seal(*secret, k.place()...)
}

// secretOf is what the webhook is signed with.
func (s store) secretOf(k keptSecret) (string, error) {
	switch {
	case k.open != nil:
		return *k.open, nil
	case k.sealed == nil:
		return "", errNoAddress
	}
	secret, err := s.sealer.Open(k.sealed, k.place()...)
	if err != nil {
		return "", errLostSecret
	}
	return secret, nil
}

// WebhookSecrets is what came of going through the secrets of all webhooks.
type WebhookSecrets struct {
	Changed int `json:"changed"`
	Lost    int `json:"lost"` // nothing opens them: their owners must give the address again
}

// SealWebhooks seals the secrets that stand in the clear, and anew those that an older secret of SECRET_KEY sealed. Several
// servers may do it at a time.
func (s *Service) SealWebhooks(ctx context.Context) (WebhookSecrets, error) {
	return s.store.keepSecrets(ctx, notByTheNewest, func(k keptSecret, secret string) keptSecret {
		return keptSecret{ownedID: k.ownedID, sealed: s.store.seal(k.ownedID, &secret)}
	})
}

// OpenWebhooks puts all secrets back in the clear, where a server of the release before 011 finds them.
func (s *Service) OpenWebhooks(ctx context.Context) (WebhookSecrets, error) {
	return s.store.keepSecrets(ctx, sealedByAny, func(k keptSecret, secret string) keptSecret {
		return keptSecret{ownedID: k.ownedID, open: &secret}
	})
}

const secretsAtOnce = 500

// Which secrets are to get another form.
const (
	sealedByAny    = true
	notByTheNewest = false // in the clear, or sealed by an older key
)

// keepSecrets gives secrets another form.
func (s store) keepSecrets(ctx context.Context, which bool, form func(keptSecret, string) keptSecret) (sum WebhookSecrets, err error) {
	last := ownedID{noID, noID}
	for {
		found, err := s.secretsAfter(ctx, last, which)
		if err != nil || len(found) == 0 {
			return sum, err
		}
		last = found[len(found)-1].ownedID
		var before, after []keptSecret
		for _, k := range found {
			secret, err := s.secretOf(k)
			if err != nil {
				sum.Lost++
				continue
			}
			before, after = append(before, k), append(after, form(k, secret))
		}
		n, err := s.replaceSecrets(ctx, before, after)
		sum.Changed += n
		if err != nil {
			return sum, err
		}
	}
}

const noID = "00000000-0000-0000-0000-000000000000"

func (s store) secretsAfter(ctx context.Context, last ownedID, which bool) (found []keptSecret, err error) {
	b := &pgx.Batch{}
	b.Queue(`SELECT user_id::text, id::text, webhook_secret, webhook_sealed FROM app.alerts
	          WHERE (user_id, id) > ($1::text::uuid, $2::text::uuid) AND (webhook_secret IS NOT NULL OR webhook_sealed IS NOT NULL)
	            AND CASE WHEN $3 THEN webhook_sealed IS NOT NULL ELSE webhook_secret IS NOT NULL OR substring(webhook_sealed FOR length($4::bytea)) <> $4 END
	          ORDER BY user_id, id LIMIT $5`, last.user, last.id, which, s.sealer.Newest(), secretsAtOnce).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var k keptSecret
			if err := rows.Scan(&k.user, &k.id, &k.open, &k.sealed); err != nil {
				return err
			}
			found = append(found, k)
		}
		return rows.Err()
	})
	if err := s.db.Do(ctx, b); err != nil {
		return nil, fmt.Errorf("prices: read the secrets of webhooks: %w", err)
	}
	return found, nil
}

// replaceSecrets writes after where before still stands: a user may have given another address meanwhile.
func (s store) replaceSecrets(ctx context.Context, before, after []keptSecret) (n int, err error) {
	ids := make([]ownedID, len(before))
	var wasOpen, nowOpen []*string
	var wasSealed, nowSealed [][]byte
	for i := range before {
		ids[i] = before[i].ownedID
		wasOpen, wasSealed = append(wasOpen, before[i].open), append(wasSealed, before[i].sealed)
		nowOpen, nowSealed = append(nowOpen, after[i].open), append(nowSealed, after[i].sealed)
	}
	users, alerts := columnsOf(ids)
	b := &pgx.Batch{}
	b.Queue(`UPDATE app.alerts a SET webhook_secret = x.open, webhook_sealed = x.sealed
	           FROM unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::text[], $4::bytea[], $5::text[], $6::bytea[]) AS x (user_id, id, was_open, was_sealed, open, sealed)
	          WHERE a.user_id = x.user_id AND a.id = x.id AND a.webhook_secret IS NOT DISTINCT FROM x.was_open AND a.webhook_sealed IS NOT DISTINCT FROM x.was_sealed
	      RETURNING 1`, users, alerts, wasOpen, wasSealed, nowOpen, nowSealed).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			n++
		}
		return rows.Err()
	})
	if err := s.db.Do(ctx, b); err != nil {
		return 0, fmt.Errorf("prices: seal the secrets of webhooks: %w", err)
	}
	return n, nil
}

// sealEvery is also how long after its start a server first seals: while servers are replaced one by one, those of the release
// before 011 still have to sign.
const sealEvery = 10 * time.Minute

// keepSealed seals what stands in the clear every so often until ctx ends.
func (s *Service) keepSealed(ctx context.Context, every time.Duration) error {
	for sleep(ctx, every) == nil {
		sum, err := s.SealWebhooks(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.log.Warn("prices: secrets of webhooks were not sealed", "err", err)
		case sum.Lost > 0:
			s.log.Warn("prices: no secret of SECRET_KEY opens the secrets of some webhooks: their owners must give the address again", "lost", sum.Lost, "sealed", sum.Changed)
		case sum.Changed > 0:
			s.log.Info("prices: sealed secrets of webhooks", "sealed", sum.Changed)
		}
	}
	return nil
}
