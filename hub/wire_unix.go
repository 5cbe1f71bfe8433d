//go:build unix

package hub

import (
	"io"
	"net"
	"syscall"
)

// direct hands bytes to the kernel of a TCP connection.
type direct struct {
	tcp *net.TCPConn
	raw syscall.RawConn
}

func newDirect(tcp *net.TCPConn) (wire, bool) {
	raw, err := tcp.SyscallConn()
	return &direct{tcp: tcp, raw: raw}, err == nil
}

func newKernelWrite() *kernelWrite {
	k := &kernelWrite{}
	k.try = func(fd uintptr) bool {
		for {
			k.n, k.err = syscall.Write(int(fd), k.p)
			if k.err != syscall.EINTR {
				return true // never let the runtime wait for the peer
			}
		}
	}
	return k
}

func (d *direct) write(k *kernelWrite, p []byte) (int, error) {
	k.p = p
	err := d.raw.Write(k.try)
	k.p = nil
	switch {
	case err != nil:
		return 0, err
	case k.err == syscall.EAGAIN:
		return 0, nil
	case k.err != nil:
		return 0, k.err
	case k.n <= 0:
		return 0, io.ErrUnexpectedEOF
	}
	return k.n, nil
}

func (d *direct) idle() bool { return true }

func (d *direct) cut(hard bool) {
	if hard {
		_ = d.tcp.SetLinger(0)
	}
	_ = d.tcp.Close()
}
