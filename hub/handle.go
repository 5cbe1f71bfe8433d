package hub

import (
	"bytes"
	"encoding/json"
	"time"

	"rosetree/internal/api"
)

// handle answers one message; the worker calls it.
func (c *conn) handle(text []byte) {
	var m head
	if err := decodeHead(text, &m); err != nil {
		c.fail(m.ID, err)
		return
	}
	if err := c.dispatch(m, text); err != nil {
		c.fail(m.ID, err)
	}
}

func (c *conn) dispatch(m head, text []byte) error {
	switch m.Type {
	case "subscribe":
		return c.subscribe(text)
	case "unsubscribe":
		return c.unsubscribe(text)
	case "call":
		return c.call(text)
	case "auth":
		return c.authenticate(text)
	case "ping":
		return c.ping(text)
	case "suspend":
		return c.bare(text, c.suspend)
	case "resume":
		return c.bare(text, c.resume)
	case "":
		return missing("type")
	default:
		p := api.BadRequest("unknown type %q", m.Type)
		p.Field = "type"
		return p
	}
}

// decodeHead finds out what a message is and who asks, as far as that can be told.
func decodeHead(text []byte, m *head) error {
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte{'{'}) {
		return api.BadRequest("a message is one JSON object")
	}
	if err := json.Unmarshal(text, m); err != nil {
		m.ID = nil
		if err := api.Decode(text, &map[string]json.RawMessage{}); err != nil {
			return err
		}
		return missing("type") // an object whose type is no string
	}
	switch first := append(m.ID, 'n')[0]; {
	case first == 'n': // absent or null
		m.ID = nil
	case first != '"' && first != '-' && (first < '0' || first > '9'):
		m.ID = nil
		p := api.BadRequest("id is a string or a number")
		p.Field = "id"
		return p
	}
	return nil
}

func missing(field string) error {
	p := api.BadRequest("%s is missing", field)
	p.Field = field
	return p
}

// fail reports what is wrong; also to those who asked for no answer.
func (c *conn) fail(id json.RawMessage, err error) {
	reason := reasonOf(err)
	if reason.Code == "internal" {
		c.hub.log.Error("message failed", "connection", c.id, "error", err)
	}
	c.send(encode(failure{ID: id, Type: "error", Error: reason}))
}

// reply answers those who gave an id.
func (c *conn) reply(id json.RawMessage, v any) {
	if len(id) > 0 {
		c.send(encode(result{ID: id, Type: "result", Result: v}))
	}
}

func (c *conn) ping(text []byte) error {
	var m head
	if err := decode(text, &m); err != nil {
		return err
	}
	if len(m.ID) > 0 {
		c.send(encode(pong{ID: m.ID, Type: "pong", Time: time.Now().UnixMilli()}))
	}
	return nil
}

func (c *conn) bare(text []byte, do func(id json.RawMessage)) error {
	var m head
	if err := decode(text, &m); err != nil {
		return err
	}
	do(m.ID)
	return nil
}

func (c *conn) authenticate(text []byte) error {
	var m authMessage
	if err := decode(text, &m); err != nil {
		return err
	}
	if m.Token == "" {
		return missing("token")
	}
	p, err := c.renew(m.Token)
	if err != nil {
		return err
	}
	c.reply(m.ID, struct {
		Auth    any         `json:"auth"`
		Session sessionPart `json:"session"`
	}{p.Via, sessionOf(p)})
	return nil
}

// decode is strict about everything; an id of null is none.
func decode(text []byte, v interface{ clean() }) error {
	if err := api.Decode(text, v); err != nil {
		return err
	}
	v.clean()
	return nil
}

func (m *head) clean() {
	if string(m.ID) == "null" {
		m.ID = nil
	}
}
