package hub

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// frames is one conversation of the corpus in conformance_cases_test.go. Where the socket must end, its close code says all; where it
// must stay, so do the answers. What broke off need not be answered any more.
type frames struct {
	name  string
	send  []byte
	texts []string // in what the server says, in this order, beside welcome and bye
	pongs []string
	code  int // of the close frame; 0: the socket stays open
}

// noCode is the close code of a close frame that has none (RFC 6455 §7.1.5).
const noCode = 1005

// TestFramesOfEveryKind sends what RFC 6455 allows and forbids, after groups 1 to 7 and 9 of the Autobahn test suite, through our wrapped
// connection, at once and octet by octet.
func TestFramesOfEveryKind(t *testing.T) {
	h := newHouse(t, Config{SocketsPerUser: -1, Heartbeat: time.Hour}) // no ping of the server's own between the answers
	s := onTCP(t, h, (*httptest.Server).Start)
	for _, c := range slices.Concat(framing(), pings(), reserved(), fragments(), utf8Texts(), closings(), limits()) {
		for how, size := range map[string]int{"at once": len(c.send), "in octets": 1} {
			if size == 1 && len(c.send) > 2000 {
				continue
			}
			t.Run(c.name+" "+how, func(t *testing.T) {
				t.Parallel()
				raw := rawUpgrade(t, s, "ana")
				raw.SetDeadline(time.Now().Add(30 * time.Second))
				for part := range slices.Chunk(c.send, max(size, 1)) {
					raw.Write(part)
				}
				c.check(t, raw)
			})
		}
	}
}

func (c frames) check(t *testing.T, raw io.ReadWriter) {
	const last = `{"id":"last","type":"ping"}`
	if c.code == 0 { // a last word, so that the reading ends
		raw.Write(frame(0x81, last))
	}
	got := hear(t, raw, func(said heard) bool {
		return said.code != 0 || slices.ContainsFunc(said.texts, func(text string) bool { return strings.Contains(text, `"id":"last"`) })
	})
	if got.code != c.code {
		t.Fatalf("close code %d, not %d: %+v", got.code, c.code, got)
	}
	if c.code != 0 && c.texts == nil && c.pongs == nil {
		return
	}
	if c.code == 0 {
		got.texts = got.texts[:len(got.texts)-1]
	}
	same := func(text, part string) bool { return strings.Contains(text, part) }
	if !slices.EqualFunc(got.texts, c.texts, same) || !slices.Equal(got.pongs, c.pongs) {
		t.Errorf("heard %q and pongs %q, not %q and %q", got.texts, got.pongs, c.texts, c.pongs)
	}
}

// heard is what the server said, but for welcome and bye.
type heard struct {
	texts, pongs []string
	code         int // of the close frame, after which nothing may follow
}

// hear reads whole frames until enough was said or the connection ends. A frame that no server may send fails the test.
func hear(t *testing.T, r io.Reader, enough func(heard) bool) (said heard) {
	t.Helper()
	var got []byte
	for b := make([]byte, 4096); !enough(said); {
		n, err := r.Read(b)
		for got = append(got, b[:n]...); len(got) >= 2; {
			payload, rest, cut := cutFrame(got)
			if cut != nil {
				break
			}
			if said.code != 0 || got[1]&0x80 != 0 {
				t.Fatalf("%q after a close, or masked: %+v", got, said)
			}
			said.add(t, got[0], payload)
			got = rest
		}
		if err != nil {
			return said
		}
	}
	return said
}

func (said *heard) add(t *testing.T, first byte, payload []byte) {
	t.Helper()
	switch first {
	case textFrame:
		var m struct{ Type string }
		if err := json.Unmarshal(payload, &m); err != nil {
			t.Fatalf("%q: %v", payload, err)
		}
		if m.Type != "welcome" && m.Type != "bye" {
			said.texts = append(said.texts, string(payload))
		}
	case 0x8a:
		said.pongs = append(said.pongs, string(payload))
	case closeFrame:
		said.code = noCode
		if len(payload) >= 2 {
			said.code = int(binary.BigEndian.Uint16(payload))
		}
	default:
		t.Fatalf("a frame that begins with %x", first)
	}
}

// frame is a client's: masked, and with the shortest length.
func frame(first byte, payload string) []byte {
	head := []byte{first}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n <= 0xffff:
		head = append(head, 0x80|126, byte(n>>8), byte(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	mask := []byte{0x37, 0xfa, 0x21, 0x3d}
	masked := []byte(payload)
	for i := range masked {
		masked[i] ^= mask[i%4]
	}
	return slices.Concat(head, mask, masked)
}

func closing(code uint16, reason string) []byte {
	return frame(0x88, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// text is a message that is answered by a pong of ours with this id.
func text(id string) string { return `{"id":"` + id + `","type":"ping"}` }

// sized is such a message with spaces behind it, n octets long.
func sized(n int) string { return text("x") + strings.Repeat(" ", n-len(text("x"))) }

// join is frames in a row.
func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
