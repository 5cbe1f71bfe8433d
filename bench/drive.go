package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// result is what drive prints.
type result struct {
	Server            string  `json:"server"`
	UpgradesPerSecond float64 `json:"upgrades_per_s"` // one after the other, with their subscriptions
	KBPerSocket       float64 `json:"rss_kb_per_socket"`
	UpdatesPerSecond  float64 `json:"updates_per_s"`
	P50               int     `json:"p50_ms"` // from the tick to the client, in whole milliseconds
	P99               int     `json:"p99_ms"`
	CPU               float64 `json:"cpu_cores"`
	NanosPerUpdate    float64 `json:"cpu_ns_per_update"`
	BusyMB            float64 `json:"rss_mb_busy"`
}

// drive opens the sockets, lets them rest, has the server tick, and counts.
func drive(o options) {
	before, opening := rss(o.pid), time.Now()
	var updates ages
	for i := range o.sockets {
		open(o, i, &updates)
	}
	opened := time.Since(opening).Seconds()
	time.Sleep(o.quietFor)
	idle := rss(o.pid)
	resp, err := http.Post("http://"+o.connect+"/start", "text/plain", nil)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	time.Sleep(3 * time.Second)
	updates.reset()
	began, cpu := time.Now(), cpuSeconds(o.pid)
	time.Sleep(time.Duration(o.seconds) * time.Second)
	took, spent, n := time.Since(began).Seconds(), cpuSeconds(o.pid)-cpu, float64(updates.count())
	json.NewEncoder(os.Stdout).Encode(result{Server: o.kind, UpgradesPerSecond: float64(o.sockets) / opened, KBPerSocket: (idle - before) / float64(o.sockets) / 1000,
		UpdatesPerSecond: n / took, P50: updates.at(0.5), P99: updates.at(0.99), CPU: spent / took, NanosPerUpdate: spent / n * 1e9, BusyMB: rss(o.pid) / 1e6})
}

// ages counts updates by their age in milliseconds; the last place is for all that are older.
type ages [10_000]atomic.Uint64

func (a *ages) add(ms int64) { a[min(max(ms, 0), int64(len(a)-1))].Add(1) }

func (a *ages) reset() {
	for i := range a {
		a[i].Store(0)
	}
}

func (a *ages) count() (n uint64) {
	for i := range a {
		n += a[i].Load()
	}
	return n
}

// at is the age that a share of the updates does not exceed.
func (a *ages) at(share float64) int {
	rest := uint64(share * float64(a.count()))
	for i := range a {
		n := a[i].Load()
		if n >= rest {
			return i
		}
		rest -= n
	}
	return len(a)
}

// note adds the updates in a message.
func (a *ages) note(message []byte) {
	now := time.Now().UnixMilli()
	for {
		_, rest, found := bytes.Cut(message, []byte(`{"s":"`))
		if !found {
			return
		}
		_, rest, _ = bytes.Cut(rest, []byte(`"t":`))
		at := int64(0)
		for ; len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9'; rest = rest[1:] {
			at = at*10 + int64(rest[0]-'0')
		}
		a.add(now - at)
		message = rest
	}
}

// open connects one socket and subscribes it to its symbols.
func open(o options, i int, updates *ages) {
	nc, err := net.Dial("tcp", o.connect)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(nc, "GET /ws?first=%d HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", i)
	r := bufio.NewReaderSize(nc, 16<<10)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			log.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	switch {
	case strings.HasPrefix(o.kind, "hub"):
		var names []string
		for k := range o.each {
			names = append(names, strconv.Quote(symbol((i*7+k*13)%o.symbols)))
		}
		pace := ""
		if o.kind == "hub-joined" {
			pace = `,"max_hz":` + strconv.Itoa(o.hz)
		}
		send(nc, `{"type":"subscribe","channel":"prices","symbols":[`+strings.Join(names, ",")+`]`+pace+`}`)
	case strings.HasPrefix(o.kind, "centrifuge"):
		send(nc, fmt.Sprintf(`{"id":1,"connect":{"data":%d}}`, i))
	}
	go follow(nc, r, updates)
}

func send(nc net.Conn, text string) {
	head := []byte{0x81, 0x80 | byte(len(text))}
	if len(text) > 125 {
		head = []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text))}
	}
	nc.Write(append(append(head, 0, 0, 0, 0), text...))
}

func follow(nc net.Conn, r *bufio.Reader, updates *ages) {
	buf := make([]byte, 16<<10)
	for {
		head, err := r.Peek(2)
		if err != nil {
			return
		}
		opcode, n, size := head[0]&15, int(head[1]&127), 2
		if n == 126 {
			if head, err = r.Peek(4); err != nil {
				return
			}
			n, size = int(binary.BigEndian.Uint16(head[2:])), 4
		}
		r.Discard(size)
		if n > len(buf) {
			buf = make([]byte, n)
		}
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			return
		}
		switch {
		case opcode == 9:
			nc.Write([]byte{0x8a, 0x80, 0, 0, 0, 0})
		case string(buf[:n]) == "{}":
			send(nc, "{}") // the peer's own ping
		default:
			updates.note(buf[:n])
		}
	}
}

// rss is counted page by page: the kernel's quick figure (statm) is off by megabytes on several processors.
func rss(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		log.Fatal("--pid: ", err)
	}
	_, rest, _ := strings.Cut(string(text), "\nRss:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		log.Fatal("smaps_rollup: ", err)
	}
	return float64(kilobytes) * 1024
}

func cpuSeconds(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')'):]))
	user, _ := strconv.Atoi(fields[12])
	system, _ := strconv.Atoi(fields[13])
	return float64(user+system) / 100
}
