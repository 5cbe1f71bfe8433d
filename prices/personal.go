package prices

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The channels on which a user's connections hear what is theirs alone.
const (
	AlertsChannel     = "alerts"
	WatchlistsChannel = "watchlists"
)

// Audience is the connections of users on this server. The hub is one.
type Audience struct {
	Follows func(channel, user string) bool
	Tell    func(channel, user string, message any) // message has a "type"; must not block
	Rows    func(user string) DB                    // the rows of one user
}

// hint says what is new of whom, and nothing of what it is: that is read from PostgreSQL by who has somebody to tell.
type hint struct {
	what newsKind
	user string
	id   string // of a firing; of those seen, joined by commas
}

type newsKind string

const (
	newFiring     newsKind = "firing"
	newSeen       newsKind = "seen"
	newAlert      newsKind = "alert"
	newWatchlists newsKind = "watchlists"
)

// AlertMessage is a firing on the socket.
type AlertMessage struct {
	Type string `json:"type"` // alert
	Firing
}

// AlertsSeenMessage says that firings were seen, perhaps on another device.
type AlertsSeenMessage struct {
	Type string   `json:"type"` // alerts_seen
	IDs  []string `json:"ids"`
}

// AlertsChangedMessage says that alerts were added, changed, deleted, or armed again, or what came of a message to a webhook: list them anew.
type AlertsChangedMessage struct {
	Type string `json:"type"` // alerts_changed
}

// WatchlistsMessage is all watchlists of the user.
type WatchlistsMessage struct {
	Type string `json:"type"` // watchlists
	watchlistsOutput
}

const personalPrefix = "~"

func (h hint) String() string {
	return personalPrefix + string(h.what) + " " + h.user + " " + h.id
}

func parseHint(text string) (hint, bool) {
	f := strings.SplitN(strings.TrimPrefix(text, personalPrefix), " ", 3)
	if len(f) != 3 || uuid.Validate(f[1]) != nil {
		return hint{}, false
	}
	return hint{newsKind(f[0]), f[1], f[2]}, true
}

// personal carries what is new of users to their connections on this server.
type personal struct {
	// fixed before run
	store    store
	alerts   *alertWatch
	audience Audience
	log      *slog.Logger

	wake chan struct{}

	mu      sync.Mutex
	waiting []hint
	told    map[string]time.Time // firings; hints and polls name the same ones
}

func newPersonal(st store, alerts *alertWatch, log *slog.Logger) *personal {
	none := Audience{Follows: func(string, string) bool { return false }, Tell: func(string, string, any) {}}
	return &personal{store: st, alerts: alerts, audience: none, log: log, wake: make(chan struct{}, 1), told: map[string]time.Time{}}
}

// maxWaiting bounds hints that nobody has followed up yet; firings that are left out come with the next poll.
const maxWaiting = 10_000

// hear takes a hint; it does not block.
func (p *personal) hear(h hint) {
	switch h.what {
	case newAlert:
		if uuid.Validate(h.id) == nil {
			p.alerts.look(h.user, h.id)
		}
	case newFiring:
		if uuid.Validate(h.id) != nil {
			return
		}
	}
	channel := AlertsChannel
	if h.what == newWatchlists {
		channel = WatchlistsChannel
	}
	if !p.audience.Follows(channel, h.user) {
		return
	}
	p.mu.Lock()
	if len(p.waiting) < maxWaiting {
		p.waiting = append(p.waiting, h)
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run tells users of this server what hints name, and looks for firings that no hint named.
func (p *personal) run(ctx context.Context) error {
	poll := time.NewTicker(alertPoll)
	defer poll.Stop()
	since := time.Now().Add(-alertOverlap)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		case <-poll.C:
			ids, now, err := p.store.firedSince(ctx, since)
			if err != nil {
				continue
			}
			for _, f := range ids {
				p.hear(hint{newFiring, f.user, f.id})
			}
			since = now.Add(-alertOverlap)
			p.forget(since)
		}
		p.tell(ctx)
	}
}

func (p *personal) forget(before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, at := range p.told {
		if at.Before(before.Add(-alertOverlap)) {
			delete(p.told, id)
		}
	}
}

func (p *personal) tell(ctx context.Context) {
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = nil
	var firings []ownedID
	for _, h := range waiting {
		if h.what == newFiring && p.told[h.id].IsZero() {
			firings = append(firings, ownedID{h.user, h.id})
		}
	}
	p.mu.Unlock()
	p.tellFirings(ctx, firings)
	lists := map[string]bool{}
	for _, h := range waiting {
		switch h.what {
		case newSeen:
			p.audience.Tell(AlertsChannel, h.user, AlertsSeenMessage{"alerts_seen", strings.Split(h.id, ",")})
		case newAlert:
			p.audience.Tell(AlertsChannel, h.user, AlertsChangedMessage{"alerts_changed"})
		case newWatchlists:
			lists[h.user] = true
		}
	}
	for user := range lists {
		all, err := readWatchlists(ctx, p.audience.Rows(user))
		if err != nil {
			p.log.Warn("prices: watchlists were not told", "err", err)
			continue
		}
		p.audience.Tell(WatchlistsChannel, user, WatchlistsMessage{"watchlists", watchlistsOutput{all}})
	}
}

// tellFirings; what cannot be read now comes with the next poll.
func (p *personal) tellFirings(ctx context.Context, ids []ownedID) {
	if len(ids) == 0 {
		return
	}
	all, err := p.store.firings(ctx, ids)
	if err != nil {
		p.log.Warn("prices: alerts were not told", "firings", len(ids), "err", err)
		return
	}
	for _, f := range all {
		p.mu.Lock()
		again := !p.told[f.ID].IsZero()
		p.told[f.ID] = time.Now()
		p.mu.Unlock()
		if !again {
			p.audience.Tell(AlertsChannel, f.user, AlertMessage{"alert", f.Firing})
		}
	}
}

// unseenAtOnce bounds what a connection is told when it begins to follow; older firings are in the list.
const unseenAtOnce = 100

// UnseenAlerts are the messages for a connection that begins to follow the alerts of o: what its user has not seen,
// oldest first.
func (s *Service) UnseenAlerts(ctx context.Context, o Owner) ([]any, error) {
	all, err := readFirings(ctx, o.Rows, firingsInput{Unseen: true, Limit: unseenAtOnce})
	if err != nil {
		return nil, err
	}
	messages := make([]any, 0, len(all))
	for i := len(all) - 1; i >= 0; i-- {
		messages = append(messages, AlertMessage{"alert", all[i].Firing})
	}
	return messages, nil
}

// CurrentWatchlists is the message for a connection that begins to follow the watchlists of o.
func (s *Service) CurrentWatchlists(ctx context.Context, o Owner) ([]any, error) {
	all, err := readWatchlists(ctx, o.Rows)
	return []any{WatchlistsMessage{"watchlists", watchlistsOutput{all}}}, err
}

// FollowUsers says who hears what is new of users. Call it before Run.
func (s *Service) FollowUsers(a Audience) { s.personal.audience = a }

// announce brings h to every server, this one included.
func (s *Service) announce(ctx context.Context, h hint) {
	if s.bus == nil {
		s.personal.hear(h)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.bus.say(ctx, h.String()); err != nil {
		s.personal.hear(h) // the others find alerts and firings by their polls
	}
}
