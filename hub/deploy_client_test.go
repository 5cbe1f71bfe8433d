package hub

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// libraryClients are clients of web/app/rosetree.js in a Node of their own.
type libraryClients struct {
	t      *testing.T
	asks   io.Writer
	tells  *json.Decoder
	failed bytes.Buffer
}

type libraryClient struct {
	Version  int64
	Welcomes int
	Missed   []string
}

func startLibraryClients(t *testing.T, url string, n int) *libraryClients {
	folder, err := exec.Command("../.ci/node").Output()
	if err != nil {
		t.Skipf("no Node to run the client library in: %v", err)
	}
	node := exec.Command(filepath.Join(string(bytes.TrimSpace(folder)), "node"), "--experimental-websocket", "--no-warnings", "testdata/visitors.mjs", url, strconv.Itoa(n))
	l := &libraryClients{t: t}
	node.Stderr = &l.failed
	in, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = node.Wait()
	})
	l.asks, l.tells = in, json.NewDecoder(out)
	return l
}

// look is what each of them shows now.
func (l *libraryClients) look() (all []libraryClient) {
	l.t.Helper()
	if _, err := l.asks.Write([]byte("\n")); err != nil {
		l.t.Fatalf("the library's clients: %v %s", err, &l.failed)
	}
	if err := l.tells.Decode(&all); err != nil {
		l.t.Fatalf("the library's clients: %v %s", err, &l.failed)
	}
	return all
}
