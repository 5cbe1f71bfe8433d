package devstack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// freePort returns a loopback port that is free now: wish, where it is.
func freePort(wish int) (int, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(wish)))
	if err != nil && wish != 0 {
		l, err = net.Listen("tcp4", "127.0.0.1:0")
	}
	if err != nil {
		return 0, fmt.Errorf("devstack: no free port on 127.0.0.1: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// onFreePort calls start with a free port, and again with another where that one was taken between
// our look and the server's.
func onFreePort(wish int, start func(port int) error) error {
	for range 5 {
		port, err := freePort(wish)
		if err != nil {
			return err
		}
		if err = start(port); !errors.Is(err, errTaken) {
			return err
		}
		wish = 0
	}
	return fmt.Errorf("devstack: five free ports in a row: %w", errTaken)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
