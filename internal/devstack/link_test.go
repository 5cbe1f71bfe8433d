package devstack

import (
	"io"
	"net"
	"testing"
	"time"
)

// echo is a server that sends back what it gets, after its name.
func echo(t *testing.T, name string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.WriteString(c, name)
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// heard reads one piece, or the reason why there is none within d.
func heard(c net.Conn, d time.Duration) (string, error) {
	c.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	return string(buf[:n]), err
}

func wantHeard(t *testing.T, c net.Conn, want string) {
	t.Helper()
	if got, err := heard(c, 2*time.Second); got != want {
		t.Errorf("heard %q, %v; want %q", got, err, want)
	}
}

func TestALinkCarriesAndCanBeCut(t *testing.T) {
	l := StartLink(t, echo(t, "A"))
	c := dial(t, l.Addr)
	wantHeard(t, c, "A")
	io.WriteString(c, "hello")
	wantHeard(t, c, "hello")
	l.Cut()
	if got, err := heard(c, 2*time.Second); err == nil {
		t.Errorf("a cut connection still carries %q", got)
	}
	if again, err := net.Dial("tcp4", l.Addr); err == nil {
		if _, err := heard(again, 2*time.Second); err == nil {
			t.Error("a cut link takes connections")
		}
	}
	l.Restore()
	wantHeard(t, dial(t, l.Addr), "A")
}

func TestAStalledLinkTakesAllAndDeliversNothing(t *testing.T) {
	l := StartLink(t, echo(t, "A"))
	c := dial(t, l.Addr)
	wantHeard(t, c, "A")
	l.Stall()
	c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write(make([]byte, 8<<20)); err != nil { // more than the kernel's buffers hold
		t.Errorf("writing into a stalled link: %v", err)
	}
	if got, err := heard(c, 100*time.Millisecond); err == nil || err == io.EOF {
		t.Errorf("a stalled link delivered %q, %v", got, err)
	}
	if got, err := heard(dial(t, l.Addr), 100*time.Millisecond); err == nil || err == io.EOF {
		t.Errorf("a new connection over a stalled link heard %q, %v", got, err)
	}
	l.Restore()
	if _, err := heard(c, 2*time.Second); err == nil {
		t.Error("a connection that lost bytes lived on")
	}
	wantHeard(t, dial(t, l.Addr), "A")
}

func TestALinkDelaysAndChangesItsTarget(t *testing.T) {
	l := StartLink(t, echo(t, "A"))
	c := dial(t, l.Addr)
	wantHeard(t, c, "A")
	l.Delay(50 * time.Millisecond)
	began := time.Now()
	io.WriteString(c, "x")
	wantHeard(t, c, "x")
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("there and back took %v, want 100 ms or more", took)
	}
	l.Restore()
	l.Retarget(echo(t, "B"))
	if _, err := heard(c, 2*time.Second); err == nil {
		t.Error("a connection to the old target lived on")
	}
	wantHeard(t, dial(t, l.Addr), "B")
}

func TestALinkPassesOnAClose(t *testing.T) {
	l := StartLink(t, echo(t, "A"))
	c := dial(t, l.Addr)
	wantHeard(t, c, "A")
	io.WriteString(c, "last")
	c.(*net.TCPConn).CloseWrite()
	wantHeard(t, c, "last")
	if _, err := heard(c, 2*time.Second); err != io.EOF {
		t.Errorf("after both ends closed: %v, want EOF", err)
	}
	for end := time.Now().Add(2 * time.Second); l.Open() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are still open", l.Open())
		}
	}
}
