package hub

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestFramesOfEveryKind sends what RFC 6455 allows and forbids through our wrapped connection, after
// the cases of the Autobahn test suite, and looks at how the socket ends. ping{…} in a name means that
// the socket must still answer afterwards.
func TestFramesOfEveryKind(t *testing.T) {
	const ping = `{"id":1,"type":"ping"}`
	pong := []byte(`{"id":1,"type":"pong"`)
	zero := []byte{0, 0, 0, 0}
	frame := func(first byte, payload string) []byte {
		var b bytes.Buffer
		writeMasked(&b, first, payload)
		return b.Bytes()
	}
	long := func(first byte, n uint64) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{first, 0xff}, n), zero...)
	}
	closing := func(code uint16, reason string) []byte {
		return frame(0x88, string(binary.BigEndian.AppendUint16(nil, code))+reason)
	}
	for _, test := range []struct {
		name   string
		send   [][]byte
		answer []byte // must be among what the server sends
		code   int    // of the close frame; 0: the socket stays open
	}{
		{"1 whole message", [][]byte{frame(0x81, ping)}, pong, 0},
		{"1 empty message", [][]byte{frame(0x81, "")}, []byte("one JSON object"), 0},
		{"1 message in 16-bit length", [][]byte{frame(0x81, ping+strings.Repeat(" ", 200))}, pong, 0},
		{"1 message octet by octet", split(frame(0x81, ping), 1), pong, 0},
		{"2 ping without payload", [][]byte{frame(0x89, "")}, []byte{0x8a, 0}, 0},
		{"2 ping with 125 octets", [][]byte{frame(0x89, strings.Repeat("p", 125))}, append([]byte{0x8a, 125}, strings.Repeat("p", 125)...), 0},
		{"2 ping with 126 octets", [][]byte{frame(0x89, strings.Repeat("p", 126))}, nil, 1002},
		{"2 unasked pong", [][]byte{frame(0x8a, "hello"), frame(0x81, ping)}, pong, 0},
		{"2 ten pings", [][]byte{bytes.Repeat(frame(0x89, "x"), 10)}, bytes.Repeat([]byte{0x8a, 1, 'x'}, 1), 0},
		{"3 reserved bit 1", [][]byte{frame(0xc1, ping)}, nil, 1002},
		{"3 reserved bit 2", [][]byte{frame(0xa1, ping)}, nil, 1002},
		{"3 reserved bit 3", [][]byte{frame(0x91, ping)}, nil, 1002},
		{"3 reserved bit in a ping", [][]byte{frame(0xc9, "")}, nil, 1002},
		{"4 reserved opcode 3", [][]byte{frame(0x83, "")}, nil, 1002},
		{"4 reserved control opcode 11", [][]byte{frame(0x8b, "")}, nil, 1002},
		{"5 two fragments", [][]byte{frame(0x01, ping[:5]), frame(0x80, ping[5:])}, pong, 0},
		{"5 fragments with a ping inside", [][]byte{frame(0x01, ping[:5]), frame(0x89, "in"), frame(0x80, ping[5:])}, append([]byte{0x8a, 2, 'i', 'n'}, 0x81), 0},
		{"5 fragments of nothing", [][]byte{frame(0x01, ""), frame(0x00, ""), frame(0x80, ping)}, pong, 0},
		{"5 fragmented ping", [][]byte{frame(0x09, "a"), frame(0x80, "b")}, nil, 1002},
		{"5 continuation of nothing", [][]byte{frame(0x80, ping)}, nil, 1002},
		{"5 new message inside a message", [][]byte{frame(0x01, ping[:5]), frame(0x81, ping)}, nil, 1002},
		{"6 UTF-8 in pieces", [][]byte{frame(0x01, "{\"id\":\"\xce"), frame(0x80, "\xba\",\"type\":\"ping\"}")}, []byte("\"\u03ba\""), 0},
		{"6 UTF-8 broken", [][]byte{frame(0x81, "{\"id\":\"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80\"}")}, nil, 1007},
		{"6 UTF-8 cut short", [][]byte{frame(0x81, "{\"id\":\"\xf4")}, nil, 1007},
		{"7 close with code", [][]byte{closing(1000, "")}, nil, 1000},
		{"7 close with reason", [][]byte{closing(3999, strings.Repeat("r", 123))}, nil, 3999},
		{"7 close without code", [][]byte{frame(0x88, "")}, []byte{0x88, 0}, -1},
		{"7 close with one octet", [][]byte{frame(0x88, "x")}, nil, 1002},
		{"7 close with a reserved code", [][]byte{closing(1005, "")}, nil, 1002},
		{"7 close with a code out of range", [][]byte{closing(999, "")}, nil, 1002},
		{"7 data after close", [][]byte{closing(1000, ""), frame(0x81, ping)}, nil, 1000},
		{"7 close of 126 octets", [][]byte{closing(1000, strings.Repeat("r", 124))}, nil, 1002},
		{"9 above the limit by its length", [][]byte{long(0x81, 1<<20), bytes.Repeat([]byte(" "), 1<<20)}, nil, 1009},
		{"9 above the limit in fragments", [][]byte{bytes.Repeat(frame(0x01, strings.Repeat(" ", 40_000)), 1), frame(0x00, strings.Repeat(" ", 40_000)), frame(0x80, "")}, nil, 1009},
		{"9 length of 2^63", [][]byte{long(0x81, 1<<63)}, nil, 1002},
		{"9 length of 2^62", [][]byte{long(0x81, 1<<62), bytes.Repeat([]byte(" "), 1<<17)}, nil, 1009},
		{"x unmasked", [][]byte{append([]byte{0x81, byte(len(ping))}, ping...)}, nil, 1002},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, Config{})
			raw := rawUpgrade(t, onTCP(t, h, (*httptest.Server).Start), "ana")
			for _, b := range test.send {
				raw.Write(b)
			}
			if test.code == 0 { // a last word, so that the reading ends
				writeMasked(raw, 0x81, `{"id":"last","type":"ping"}`)
			}
			raw.SetReadDeadline(time.Now().Add(5 * time.Second))
			got := readUntil(raw, []byte(`"id":"last"`))
			if !bytes.Contains(got, test.answer) {
				t.Errorf("%q is not in %q", test.answer, got)
			}
			switch alive := bytes.Contains(got, []byte(`"id":"last"`)); {
			case test.code == 0 && !alive:
				t.Errorf("the socket closed: %q", got)
			case test.code > 0 && !hasClose(got, test.code):
				t.Errorf("no close %d in %q", test.code, got)
			}
		})
	}
}

func split(b []byte, n int) (parts [][]byte) {
	for len(b) > 0 {
		k := min(n, len(b))
		parts, b = append(parts, b[:k]), b[k:]
	}
	return parts
}

func readUntil(r io.Reader, mark []byte) (got []byte) {
	b := make([]byte, 4096)
	for !bytes.Contains(got, mark) {
		n, err := r.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			break
		}
	}
	return got
}

// hasClose walks the server's frames to the close frame.
func hasClose(b []byte, code int) bool {
	for len(b) >= 2 {
		n, head := int(b[1]), 2
		if n == 126 && len(b) >= 4 {
			n, head = int(b[2])<<8|int(b[3]), 4
		}
		if b[0] == closeFrame {
			return n >= 2 && len(b) >= 4 && int(b[2])<<8|int(b[3]) == code
		}
		if len(b) < head+n {
			return false
		}
		b = b[head+n:]
	}
	return false
}
