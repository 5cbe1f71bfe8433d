//go:build !linux && !darwin

package hub

import "net"

// bound asks for a small send buffer, the nearest that other systems offer.
func bound(tcp *net.TCPConn) { _ = tcp.SetWriteBuffer(4 * kernelQueue) }
