package hub

import "rosetree/auth"

// DevicesTopic is the channel of a user's own sessions. Who follows it reads the list by session.list, and again when it is told
// that something changed.
const DevicesTopic = "devices"

// deviceNews is for whoever looks at their own sessions.
type deviceNews struct {
	Type    string         `json:"type"`  // "device"
	Event   string         `json:"event"` // started, renamed, ended, sockets
	ID      auth.SessionID `json:"id,omitempty"`
	Sockets *int           `json:"sockets,omitempty"` // of event sockets: how many are open, on all servers
}

// TellDevices passes news of sessions on to the user's own pages. Where it says of a session only its id, owns tells whose it is.
func (h *Hub) TellDevices(n auth.SessionNews, owns func(auth.UserID, auth.SessionID) bool) {
	news := deviceNews{Type: "device", Event: n.Event, ID: n.ID}
	if n.User != "" {
		h.PublishTo(DevicesTopic, n.User, news)
		return
	}
	for _, user := range h.followers(DevicesTopic) {
		if n.ID == "" || owns(user, n.ID) {
			h.PublishTo(DevicesTopic, user, news)
		}
	}
}

// TellSockets passes on how many sockets users' own sessions have, on all servers.
func (h *Hub) TellSockets(news []auth.SocketNews) {
	for _, n := range news {
		h.PublishTo(DevicesTopic, n.User, deviceNews{Type: "device", Event: "sockets", ID: n.Session, Sockets: &n.Open})
	}
}

// socketsChanged says that p's session has another number of sockets.
func (h *Hub) socketsChanged(p auth.Principal) { h.sessions.SocketsChanged(p.Session, p.User) }
