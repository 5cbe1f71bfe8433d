package hub

import "encoding/binary"

// Frames as a server sends them (RFC 6455 §5.2): final, unmasked, never compressed. They are the same
// for every client, so a message is encoded once, however many read it.
const (
	textFrame  = 0x81
	closeFrame = 0x88
	pingFrame  = 0x89
	maxHeader  = 10 // of an unmasked frame
)

// Frames as a client sends them: masked.
const (
	pongFrame  = 0x8a
	maskBit    = 0x80 // in the second octet, beside the length
	maskBytes  = 4
	maxControl = 125 // octets in a control frame
)

// pingBytes is a whole ping without payload.
var pingBytes = []byte{pingFrame, 0}

// appendFrame appends one text message.
func appendFrame(b, payload []byte) []byte {
	return append(appendHeader(b, len(payload)), payload...)
}

func appendHeader(b []byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, textFrame, byte(n))
	case n <= 0xffff:
		return append(b, textFrame, 126, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, textFrame, 127), uint64(n))
	}
}

// openFrame leaves room for the header of a message whose length is not known yet; sealFrame, given
// the length that b had before, fills it in.
func openFrame(b []byte) []byte { return append(b, 0, 0, 0, 0) }

func sealFrame(b []byte, start int) []byte {
	payload := b[start+4:]
	n := len(payload)
	switch {
	case n < 126:
		b[start], b[start+1] = textFrame, byte(n)
		copy(b[start+2:], payload)
		return b[:start+2+n]
	case n <= 0xffff:
		b[start], b[start+1], b[start+2], b[start+3] = textFrame, 126, byte(n>>8), byte(n)
		return b
	default:
		b = append(b, make([]byte, maxHeader-4)...)
		copy(b[start+maxHeader:], payload)
		appendHeader(b[start:start], n)
		return b
	}
}

func appendClose(b []byte, code int, reason string) []byte {
	return append(append(b, closeFrame, byte(2+len(reason)), byte(code>>8), byte(code)), reason...)
}
