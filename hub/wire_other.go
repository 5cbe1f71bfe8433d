//go:build !unix

package hub

import "net"

// newDirect has no way here: every connection writes the waiting way.
func newDirect(*net.TCPConn) (wire, bool) { return nil, false }

func newKernelWrite() *kernelWrite { return &kernelWrite{} }
