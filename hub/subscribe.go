package hub

import (
	"fmt"
	"time"

	"rosetree/internal/api"
)

// openTimeout bounds the reads that a subscription needs.
const openTimeout = 5 * time.Second

func tooManySubscriptions(limit int, what string) *api.Problem {
	return &api.Problem{Status: 429, Code: "too_many_subscriptions", Message: fmt.Sprintf("one socket may follow up to %d %s", limit, what)}
}

func (c *conn) subscribe(text []byte) error {
	m, err := decodeChannel(text)
	if err != nil {
		return err
	}
	switch m.Channel {
	case "prices":
		return c.followPrices(m)
	case "portfolio":
		return c.followPortfolio(m)
	default:
		return c.followTopic(m)
	}
}

func (c *conn) unsubscribe(text []byte) error {
	m, err := decodeChannel(text)
	if err != nil {
		return err
	}
	ack := subscribed{ID: m.ID, Type: "unsubscribed", Channel: m.Channel, Portfolio: m.Portfolio}
	switch m.Channel {
	case "prices":
		ack.Symbols, err = m.Symbols, c.leavePrices(m)
	case "portfolio":
		err = c.leavePortfolio(m)
	default:
		err = c.leaveTopic(m)
	}
	if err == nil && len(m.ID) > 0 {
		c.send(encode(ack))
	}
	return err
}

// decodeChannel refuses what the channel has no use for.
func decodeChannel(text []byte) (channelMessage, error) {
	var m channelMessage
	if err := decode(text, &m); err != nil {
		return m, err
	}
	wrong := func(field string) (channelMessage, error) {
		p := api.BadRequest("%s has no meaning for channel %s", field, m.Channel)
		p.Field = field
		return m, p
	}
	switch {
	case m.Channel == "":
		return m, missing("channel")
	case m.Symbols != nil && m.Channel != "prices":
		return wrong("symbols")
	case m.MaxHz != nil && m.Channel != "prices":
		return wrong("max_hz")
	case m.Portfolio != "" && m.Channel != "portfolio":
		return wrong("portfolio")
	case m.Since != nil && m.Channel != "portfolio":
		return wrong("since")
	}
	return m, nil
}
