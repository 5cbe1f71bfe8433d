package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"text/tabwriter"
	"time"
)

// scenario is played by each kind of server in turn; the first kind is what the others are compared with.
type scenario struct {
	name                       string
	kinds                      []string
	sockets, each, hz, seconds int
}

var scenarios = []scenario{
	{"at once: 1,000 sockets × 10 of 500 symbols, 1,000 ticks a second", []string{"hub", "centrifuge", "raw"}, 1000, 10, 2, 10},
	{"joined: 1,000 sockets × 25 of 500 symbols, each four times a second", []string{"hub-joined", "centrifuge-joined", "centrifuge", "raw-joined", "raw"}, 1000, 25, 4, 10},
	{"memory and upgrades: 5,000 sockets × 10 of 500 symbols", []string{"hub-joined", "centrifuge-joined", "raw-joined"}, 5000, 10, 1, 5},
}

// compare plays every scenario, each server alone on the first processor and its clients on the second.
func compare() {
	for _, s := range scenarios {
		fmt.Println(s.name)
		out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(out, "  server\tupdates/s\tp50 ms\tp99 ms\tCPU µs/update\t× hub's\tkB/socket\t× hub's\tupgrades/s\t")
		var hub result
		for i, kind := range s.kinds {
			r := s.play(kind)
			if i == 0 {
				hub = r
			}
			fmt.Fprintf(out, "  %s\t%.0f\t%d\t%d\t%.2f\t%.1f\t%.1f\t%.1f\t%.0f\t\n", kind, r.UpdatesPerSecond, r.P50, r.P99, r.NanosPerUpdate/1e3, r.NanosPerUpdate/hub.NanosPerUpdate,
				r.KBPerSocket, r.KBPerSocket/hub.KBPerSocket, r.UpgradesPerSecond)
		}
		out.Flush()
	}
}

func (s scenario) play(kind string) (r result) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	address := freeAddress()
	shape := []string{"--sockets", strconv.Itoa(s.sockets), "--each", strconv.Itoa(s.each), "--hz", strconv.Itoa(s.hz), "--seconds", strconv.Itoa(s.seconds)}
	server := pinned(ctx, "0", append([]string{"serve", kind, "--listen", address}, shape...))
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	await(address)
	clients := pinned(ctx, "1", append([]string{"drive", kind, "--connect", address, "--pid", strconv.Itoa(server.Process.Pid)}, shape...))
	text, err := clients.Output()
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		log.Fatalf("%s: %v", kind, err)
	}
	return r
}

// pinned is this program again, on one processor. taskset becomes the program, so its process is the program's.
func pinned(ctx context.Context, processor string, args []string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", processor, self}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func await(address string) {
	for range 100 {
		if nc, err := net.Dial("tcp", address); err == nil {
			nc.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	log.Fatal("the server does not listen at ", address)
}
