package hub

import (
	"net"
	"syscall"
)

// tcpNotsentLowat is TCP_NOTSENT_LOWAT of netinet/tcp.h.
const tcpNotsentLowat = 0x201

// bound keeps the kernel's queue for a peer that does not read short.
func bound(tcp *net.TCPConn) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, kernelQueue)
	})
}
