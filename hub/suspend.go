package hub

import "encoding/json"

// suspend stops all data, and then answers; what is asked for is still answered.
func (c *conn) suspend(id json.RawMessage) {
	defer c.reply(id, struct{}{})
	c.mu.Lock()
	c.suspended = true
	views := c.views
	for _, f := range c.topics {
		f.open = false
	}
	c.shard.unwatch(c, c.prices.tickers(), c.prices.every)
	c.mu.Unlock()
	for _, v := range views {
		v.close()
	}
}

// resume answers, and then brings snapshots of everything that was followed.
func (c *conn) resume(id json.RawMessage) {
	c.reply(id, struct{}{})
	c.mu.Lock()
	if !c.suspended {
		c.mu.Unlock()
		return
	}
	c.suspended = false
	views, topics := c.views, c.topics
	for i := range c.prices.slots {
		c.prices.slots[i].fresh = true
	}
	c.prices.snapshot = len(c.prices.slots) > 0 || c.prices.every
	c.shard.watch(c, c.prices.tickers(), false)
	if c.prices.every {
		c.shard.watch(c, nil, true)
	}
	c.mu.Unlock()
	for _, v := range views {
		if err := c.openView(v, -1, nil); err != nil {
			c.lose(v, err)
		}
	}
	for _, f := range topics {
		if err := f.start(nil); err != nil {
			c.fail(nil, err)
		}
	}
}
