package hub

import (
	"encoding/json"
	"strconv"
	"time"

	"rosetree/auth"
	"rosetree/internal/api"
)

// What clients say. Fields that a message does not have are errors, so that a typo is never lost.

// head is what every message has.
type head struct {
	ID   json.RawMessage `json:"id"` // string or number, echoed
	Type string          `json:"type"`
}

// channelMessage is subscribe and unsubscribe.
type channelMessage struct {
	head
	Channel   string   `json:"channel"`
	Symbols   []string `json:"symbols"`
	MaxHz     *float64 `json:"max_hz"`
	Portfolio string   `json:"portfolio"`
	Since     *int64   `json:"since"`
}

type callMessage struct {
	head
	Method         string          `json:"method"`
	Params         json.RawMessage `json:"params"`
	IdempotencyKey string          `json:"idempotency_key"`
}

type authMessage struct {
	head
	Token string `json:"token"`
}

// What the server says, beside prices and valuations, which are encoded by hand.

type welcome struct {
	Type       string      `json:"type"`
	Protocol   string      `json:"protocol"`
	Connection string      `json:"connection"`
	User       userPart    `json:"user"`
	Auth       auth.Via    `json:"auth"`
	Session    sessionPart `json:"session"`
	Heartbeat  int64       `json:"heartbeat_ms"`
	Time       int64       `json:"time"`
}

type userPart struct {
	ID   auth.UserID `json:"id"`
	Role auth.Role   `json:"role"`
}

type sessionPart struct {
	ID      auth.SessionID `json:"id"`
	Expires *time.Time     `json:"expires_at"`
}

func sessionOf(p auth.Principal) sessionPart {
	return sessionPart{ID: p.Session, Expires: instant(p.Expires)}
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

func welcomeMessage(c *conn) []byte {
	p := c.principal
	return encode(welcome{Type: "welcome", Protocol: protocol, Connection: c.id, User: userPart{p.User, p.Role}, Auth: p.Via,
		Session: sessionOf(p), Heartbeat: c.hub.cfg.Heartbeat.Milliseconds(), Time: time.Now().UnixMilli()})
}

// delivery is the class of a channel: in a merge channel gaps are normal, in an ordered one a gap is a fault.
type delivery string

const (
	merged  delivery = "merge"
	ordered delivery = "ordered"
)

type subscribed struct {
	ID        json.RawMessage `json:"id,omitempty"`
	Type      string          `json:"type"`
	Channel   string          `json:"channel"`
	Class     delivery        `json:"class,omitempty"`
	Symbols   []string        `json:"symbols,omitempty"`
	Rejected  []rejected      `json:"rejected,omitempty"`
	Portfolio string          `json:"portfolio,omitempty"`
	Version   *int64          `json:"version,omitempty"`
	Recovered bool            `json:"recovered,omitempty"`
}

type rejected struct {
	Symbol string `json:"symbol"`
	Code   string `json:"code"`
}

type result struct {
	ID     json.RawMessage `json:"id"`
	Type   string          `json:"type"`
	Result any             `json:"result"`
}

type failure struct {
	ID        json.RawMessage `json:"id,omitempty"`
	Type      string          `json:"type"`
	Channel   string          `json:"channel,omitempty"`
	Portfolio string          `json:"portfolio,omitempty"`
	Error     failureReason   `json:"error"`
}

type failureReason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	Retry   int64  `json:"retry_ms,omitempty"`
}

func reasonOf(err error) failureReason {
	p := api.ProblemOf(err)
	return failureReason{Code: p.Code, Message: p.Message, Field: p.Field, Retry: p.RetryAfter.Milliseconds()}
}

type bye struct {
	Type   string  `json:"type"`
	Code   int     `json:"code"`
	Reason string  `json:"reason"`
	Retry  *int64  `json:"retry_ms"`
	By     *string `json:"by"`
	At     string  `json:"at"`
	Text   string  `json:"text,omitempty"`
}

func byeMessage(g goodbye) []byte {
	b := bye{Type: "bye", Code: g.code, Reason: g.reason, At: g.at.UTC().Format(time.RFC3339Nano), Text: g.text}
	if ms := g.retry.Milliseconds(); ms > 0 {
		b.Retry = &ms
	}
	if g.by != "" {
		b.By = &g.by
	}
	return encode(b)
}

func reauthMessage(deadline time.Time) []byte {
	return encode(struct {
		Type     string     `json:"type"`
		Reason   string     `json:"reason"`
		Deadline *time.Time `json:"deadline"`
	}{"reauth", "expiring", instant(deadline)})
}

type pong struct {
	ID   json.RawMessage `json:"id,omitempty"`
	Type string          `json:"type"`
	Time int64           `json:"time"`
}

// Notice is a message of the operators to everyone.
type Notice struct {
	Type  string     `json:"type"` // "notice"
	ID    string     `json:"id"`
	Level string     `json:"level"` // info, warning, critical
	Text  string     `json:"text"`
	Until *time.Time `json:"until"`
}

// heartbeat is encoded once a millisecond at most, however many are sent.
type heartbeat struct {
	at   int64
	json []byte
}

func (h *Hub) heartbeat() []byte {
	now := time.Now().UnixMilli()
	if b := h.beat.Load(); b != nil && b.at == now {
		return b.json
	}
	b := &heartbeat{at: now, json: append(strconv.AppendInt([]byte(`{"type":"heartbeat","time":`), now, 10), '}')}
	h.beat.Store(b)
	return b.json
}

// encode is for messages whose parts always encode.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(failure{Type: "error", Error: reasonOf(err)}) // of strings only
	}
	return b
}
