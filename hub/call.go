package hub

import (
	"context"
	"time"

	"rosetree/internal/api"
)

// callTimeout bounds an operation; what it had committed by then stays committed.
const callTimeout = 15 * time.Second

// call runs an operation beside the connection's other messages: answers come as they are ready.
func (c *conn) call(text []byte) error {
	var m callMessage
	if err := decode(text, &m); err != nil {
		return err
	}
	if m.Method == "" {
		return missing("method")
	}
	op, known := c.hub.operations[m.Method]
	if !known {
		p := api.NotFound("method " + m.Method)
		p.Field = "method"
		return p
	}
	if !c.takeCall() {
		return api.RateLimited(time.Second)
	}
	c.hub.workers.Go(func() {
		defer c.leaveCall()
		ctx, cancel := context.WithTimeout(api.WithIdempotencyKey(context.Background(), m.IdempotencyKey), callTimeout)
		defer cancel()
		out, err := op.Call(ctx, c.identity(), m.Params)
		if err != nil {
			c.fail(m.ID, err)
			return
		}
		c.reply(m.ID, out)
	})
	return nil
}

func (c *conn) takeCall() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit := c.hub.cfg.Calls; limit >= 0 && c.calls >= limit {
		return false
	}
	c.calls++
	return true
}

func (c *conn) leaveCall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls--
}
