package portfolio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"rosetree/auth"
	"rosetree/internal/api"
)

// news says that a portfolio has a version. It carries no amounts: Redis has no row security, and the
// re-read under the owner's context is the authorization.
type news struct {
	User      auth.UserID `json:"u"`
	Portfolio ID          `json:"p"`
	Version   int64       `json:"v"`
	At        int64       `json:"t,omitempty"` // milliseconds since 1970 when it was committed; 0: by a writer that is none of us
}

// committed tells this server at once, and the others over Redis. It does not wait: what cannot be
// sent is still in the outbox.
func (s *Service) committed(n news) {
	s.hear(n)
	select {
	case s.outgoing <- n:
	default:
	}
}

// publish sends news in batches, one round trip for what came meanwhile.
func (s *Service) publish(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-s.outgoing:
			batch := []news{n}
			for len(s.outgoing) > 0 && len(batch) < 256 {
				batch = append(batch, <-s.outgoing)
			}
			err := s.send(ctx, batch)
			if err == nil {
				s.outbox.published(batch)
			} else if ctx.Err() == nil {
				s.log.Debug("portfolio: news not published, the outbox has it", "error", err)
			}
		}
	}
}

func (s *Service) send(ctx context.Context, batch []news) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, n := range batch {
			text, err := json.Marshal(n)
			if err != nil {
				return err
			}
			p.Publish(ctx, newsChannel, text)
		}
		return nil
	})
	return err
}

// hearNews follows the other servers. After each subscription everything in memory is compared with
// the database: what was said while nobody listened is lost.
func (s *Service) hearNews(ctx context.Context) error {
	sub := s.rdb.Subscribe(ctx, newsChannel, importsChannel)
	defer context.AfterFunc(ctx, func() { sub.Close() })() // a read does not end with its context
	for ctx.Err() == nil {
		msg, err := sub.ReceiveTimeout(ctx, time.Minute)
		switch m := msg.(type) {
		case *redis.Subscription:
			if m.Channel != newsChannel {
				break
			}
			for _, l := range s.all() {
				l.catchUp()
			}
		case *redis.Message:
			if m.Channel == importsChannel {
				s.hearImport(m.Payload)
				break
			}
			var n news
			if json.Unmarshal([]byte(m.Payload), &n) == nil {
				s.hear(n)
			}
		}
		if err != nil && ctx.Err() == nil && !isTimeout(err) {
			select { // Receive connects again by itself; not in a tight loop
			case <-ctx.Done():
			case <-time.After(250 * time.Millisecond):
			}
		}
	}
	return nil
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// hear reads a portfolio again that is in memory with an older version.
func (s *Service) hear(n news) {
	s.mu.Lock()
	l := s.live[key{n.User, n.Portfolio}]
	s.mu.Unlock()
	if l == nil {
		return
	}
	l.mu.Lock()
	old := l.settings.version < n.Version
	if old && l.newsFrom == 0 {
		l.newsFrom = n.At
	}
	l.mu.Unlock()
	if old {
		l.catchUp()
	}
}

// catchUp reads l again on a goroutine of its own; news that comes while it runs makes it run once more.
func (l *live) catchUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.catching {
		l.again = true
		return
	}
	l.catching = true
	go l.catch()
}

const catchPatience = 10 * time.Second

func (l *live) catch() {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), catchPatience)
		err := l.refresh(ctx)
		if err == nil {
			err = l.ask(ctx)
		}
		cancel()
		if err != nil && !errors.Is(err, api.NotFound("")) {
			l.service.log.Warn("portfolio: could not follow its news", "portfolio", l.id, "error", fmt.Sprint(err))
			time.Sleep(catchPause) // the database is away; the viewers show the last version, and it is tried again
		}
		l.mu.Lock()
		if l.gone != nil || err == nil && !l.again {
			l.catching = false
			l.mu.Unlock()
			return
		}
		l.again = false
		l.mu.Unlock()
	}
}

const catchPause = time.Second
