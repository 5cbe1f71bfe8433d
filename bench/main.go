// Command rosetree-bench compares the hub with a peer and with the bare limit; see README.md.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

type options struct {
	kind     string
	listen   string
	connect  string
	symbols  int
	each     int
	hz       int
	sockets  int
	seconds  int
	pid      int
	quietFor time.Duration
}

func main() {
	log.SetFlags(0)
	if len(os.Args) == 2 && os.Args[1] == "compare" {
		compare()
		return
	}
	if len(os.Args) < 3 {
		log.Fatal("usage: rosetree-bench compare, or serve|drive hub|hub-joined|centrifuge|centrifuge-joined|raw|raw-joined [flags]")
	}
	o := options{kind: os.Args[2]}
	f := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	f.StringVar(&o.listen, "listen", "127.0.0.1:9001", "")
	f.StringVar(&o.connect, "connect", "127.0.0.1:9001", "")
	f.IntVar(&o.symbols, "symbols", 500, "")
	f.IntVar(&o.each, "each", 25, "symbols of each socket")
	f.IntVar(&o.hz, "hz", 4, "ticks of each symbol a second")
	f.IntVar(&o.sockets, "sockets", 1000, "")
	f.IntVar(&o.seconds, "seconds", 10, "")
	f.IntVar(&o.pid, "pid", 0, "of the server")
	f.DurationVar(&o.quietFor, "quiet", 5*time.Second, "before the first tick")
	f.Parse(os.Args[3:])
	if os.Args[1] == "drive" {
		drive(o)
		return
	}
	serve(o)
}

// source is a server that can be told of a tick.
type source interface {
	handler() http.Handler
	tick(symbol int, update []byte, n uint64)
}

func serve(o options) {
	var s source
	switch o.kind {
	case "hub", "hub-joined":
		s = newHubSource(o)
	case "centrifuge", "centrifuge-joined":
		s = newCentrifugeSource(o)
	case "raw", "raw-joined":
		s = newRawSource(o)
	default:
		log.Fatalf("no server %q", o.kind)
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.handler())
	mux.Handle("/debug/pprof/", http.DefaultServeMux)
	start := make(chan struct{}, 1)
	mux.HandleFunc("POST /start", func(http.ResponseWriter, *http.Request) { start <- struct{}{} })
	debug.FreeOSMemory() // what the packages' initialization left would hide what the first sockets take
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, mux)
	<-start
	play(o, s)
}

// play ticks every symbol hz times a second, spread over time, for two minutes at most.
func play(o options, s source) {
	total := o.symbols * o.hz
	began, sent := time.Now(), 0
	for time.Since(began) < 2*time.Minute {
		due := int(time.Since(began).Seconds() * float64(total))
		for ; sent < due; sent++ {
			n := uint64(sent/o.symbols + 1)
			now := time.Now().UnixMilli()
			update := fmt.Appendf(nil, `{"s":"%s","p":"%d.%02d","t":%d,"n":%d}`, symbol(sent%o.symbols), 100+n%50, n%100, now, n)
			s.tick(sent%o.symbols, update, n)
		}
		time.Sleep(time.Millisecond)
	}
}

func symbol(i int) string { return "S" + strconv.Itoa(i) }
