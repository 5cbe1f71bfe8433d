package hub

import (
	"net"
	"syscall"
)

// tcpNotsentLowat is TCP_NOTSENT_LOWAT of linux/tcp.h, which package syscall does not name.
const tcpNotsentLowat = 25

// bound keeps the kernel's queue for a peer that does not read short: by default it takes 4 MB, and
// what comes out of it is seconds old. It also limits what a revoked client can still read.
func bound(tcp *net.TCPConn) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, kernelQueue)
	})
}
