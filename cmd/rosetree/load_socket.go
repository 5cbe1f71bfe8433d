package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// loadSocket is a WebSocket client that costs the generator little: thousands share a core with it.
type loadSocket struct {
	nc      net.Conn
	r       *bufio.Reader
	session *loadSession

	mu     sync.Mutex // guards writes
	closed chan struct{}
	code   int // of the close frame; read after closed
	at     time.Time
}

// errUpgrade is an upgrade that was answered, but not with 101.
type errUpgrade struct{ status string }

func (e errUpgrade) Error() string { return "upgrade: " + e.status }

func dialLoad(ctx context.Context, address, token string) (*loadSocket, error) {
	nc, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	s := &loadSocket{nc: nc, r: bufio.NewReaderSize(nc, 4096), closed: make(chan struct{})}
	_, err = fmt.Fprintf(nc, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: rosetree.v1\r\nAuthorization: Bearer %s\r\n\r\n", address, token)
	if err == nil {
		err = s.readHandshake()
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	return s, nil
}

func (s *loadSocket) readHandshake() error {
	status, err := s.r.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 101 ") {
		return errUpgrade{strings.TrimSpace(strings.TrimPrefix(status, "HTTP/1.1 "))}
	}
	for {
		line, err := s.r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return err
		}
	}
}

// send writes one text message.
func (s *loadSocket) send(text string) error { return s.frame(0x81, []byte(text)) }

// frame is masked with zeroes, which the standard allows and the receiver cannot tell from others.
func (s *loadSocket) frame(first byte, payload []byte) error {
	b := make([]byte, 0, len(payload)+14)
	b = append(b, first)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = append(b, 0x80|126, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(append(b, 0, 0, 0, 0), payload...)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.nc.Write(b)
	return err
}

// follow reads until the end, handing each text message to fn, which must not keep it.
func (s *loadSocket) follow(fn func(message []byte)) {
	defer close(s.closed)
	defer s.nc.Close()
	var big []byte
	for {
		opcode, payload, err := s.next(&big)
		if err != nil {
			s.at = time.Now()
			return
		}
		switch opcode {
		case 1:
			fn(payload)
		case 8:
			s.at = time.Now()
			if len(payload) >= 2 {
				s.code = int(binary.BigEndian.Uint16(payload))
			}
			_ = s.frame(0x88, payload)
			return
		case 9:
			_ = s.frame(0x8a, payload)
		}
	}
}

// next is one frame; its payload lies in the read buffer where it fits.
func (s *loadSocket) next(big *[]byte) (opcode byte, payload []byte, err error) {
	head, err := s.r.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	opcode, n, size := head[0]&0x0f, int(head[1]&0x7f), 2
	if n >= 126 {
		size = 4
		if n == 127 {
			size = 10
		}
		if head, err = s.r.Peek(size); err != nil {
			return 0, nil, err
		}
		if size == 4 {
			n = int(binary.BigEndian.Uint16(head[2:]))
		} else {
			n = int(binary.BigEndian.Uint64(head[2:]))
		}
	}
	_, _ = s.r.Discard(size)
	if n <= s.r.Size() {
		if payload, err = s.r.Peek(n); err == nil {
			_, err = s.r.Discard(n)
		}
		return opcode, payload, err
	}
	if n > 64<<20 {
		return 0, nil, errors.New("a message of more than 64 MB")
	}
	if cap(*big) < n {
		*big = make([]byte, n)
	}
	payload = (*big)[:n]
	_, err = io.ReadFull(s.r, payload)
	return opcode, payload, err
}

var (
	pricesMark = []byte(`{"type":"prices","updates":[`)
	updateMark = []byte(`{"s":"`)
	priceMark  = []byte(`"p":"`)
)

// updatesIn counts the updates of a prices message; snapshots do not count.
func updatesIn(message []byte) int {
	if !bytes.HasPrefix(message, pricesMark) {
		return 0
	}
	return bytes.Count(message, updateMark)
}

// A tick's price carries when it was sent, so that latency is known to the microsecond without a second
// clock in the protocol: 100.00SSSSSSS, microseconds modulo ten seconds.
const stampRange = 10_000_000

func stampedPrice(now time.Time) string {
	return fmt.Sprintf("100.00%07d", now.UnixMicro()%stampRange)
}

// ageOf is how old the first update of a message is.
func ageOf(message []byte, now time.Time) (time.Duration, bool) {
	_, after, ok := bytes.Cut(message, priceMark)
	if !ok {
		return 0, false
	}
	price, _, _ := bytes.Cut(after, []byte{'"'})
	digits, ok := bytes.CutPrefix(price, []byte("100.00"))
	if !ok || len(digits) > 7 {
		return 0, false
	}
	sent, err := strconv.ParseInt((string(digits) + "0000000")[:7], 10, 64) // the server drops zeroes at the end
	if err != nil {
		return 0, false
	}
	age := now.UnixMicro()%stampRange - sent
	if age < 0 {
		age += stampRange
	}
	return time.Duration(age) * time.Microsecond, true
}
