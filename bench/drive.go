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

// drive opens the sockets, lets them rest, has the server tick, and counts.
func drive(o options) {
	before := rss(o.pid)
	var updates atomic.Uint64
	for i := range o.sockets {
		open(o, i, &updates)
	}
	time.Sleep(o.quietFor)
	idle := rss(o.pid)
	resp, err := http.Post("http://"+o.connect+"/start", "text/plain", nil)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	time.Sleep(3 * time.Second)
	updates.Store(0)
	began, cpu := time.Now(), cpuSeconds(o.pid)
	time.Sleep(time.Duration(o.seconds) * time.Second)
	took, spent, n := time.Since(began).Seconds(), cpuSeconds(o.pid)-cpu, float64(updates.Load())
	json.NewEncoder(os.Stdout).Encode(map[string]any{"server": o.kind, "sockets": o.sockets, "each": o.each, "hz": o.hz,
		"rss_kb_per_socket": (idle - before) / float64(o.sockets) / 1000, "updates_per_s": n / took, "cpu_cores": spent / took, "cpu_ns_per_update": spent / n * 1e9,
		"rss_mb_busy": rss(o.pid) / 1e6})
}

// open connects one socket and subscribes it to its symbols.
func open(o options, i int, updates *atomic.Uint64) {
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
	case o.kind == "hub":
		var names []string
		for k := range o.each {
			names = append(names, strconv.Quote(symbol((i*7+k*13)%o.symbols)))
		}
		send(nc, `{"type":"subscribe","channel":"prices","symbols":[`+strings.Join(names, ",")+`],"max_hz":`+strconv.Itoa(o.hz)+`}`)
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

func follow(nc net.Conn, r *bufio.Reader, updates *atomic.Uint64) {
	buf := make([]byte, 16<<10)
	mark := []byte(`{"s":"`)
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
			updates.Add(uint64(bytes.Count(buf[:n], mark)))
		}
	}
}

func rss(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		log.Fatal("--pid: ", err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages * os.Getpagesize())
}

func cpuSeconds(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')'):]))
	user, _ := strconv.Atoi(fields[12])
	system, _ := strconv.Atoi(fields[13])
	return float64(user+system) / 100
}
