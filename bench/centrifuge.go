package main

import (
	"context"
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/centrifugal/centrifuge"
)

// centrifugeSource subscribes each client to its symbols when it connects, the cheapest way that the
// library has; each symbol is a channel.
type centrifugeSource struct {
	node *centrifuge.Node
	mux  *http.ServeMux
}

func newCentrifugeSource(o options) *centrifugeSource {
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError, ClientChannelLimit: 1000})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(_ context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		first, _ := strconv.Atoi(string(e.Data))
		subscriptions := map[string]centrifuge.SubscribeOptions{}
		for k := range o.each {
			subscriptions[symbol((first*7+k*13)%o.symbols)] = centrifuge.SubscribeOptions{}
		}
		reply := centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "u"}, Subscriptions: subscriptions}
		if o.kind == "centrifuge-joined" {
			reply.WriteDelay, reply.MaxMessagesInFrame = 100*time.Millisecond, -1
		}
		return reply, nil
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	s := &centrifugeSource{node, http.NewServeMux()}
	s.mux.Handle("/ws", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{CheckOrigin: func(*http.Request) bool { return true }, UseWriteBufferPool: true, ReadBufferSize: 512}))
	return s
}

func (s *centrifugeSource) handler() http.Handler { return s.mux }

func (s *centrifugeSource) tick(i int, update []byte, _ uint64) {
	if _, err := s.node.Publish(symbol(i), update); err != nil {
		log.Fatal(err)
	}
}
