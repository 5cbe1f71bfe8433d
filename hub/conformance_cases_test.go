package hub

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// 1: messages of the lengths at which the form of the length changes. Binary ones are whole frames too, but not of this protocol.
func framing() (all []frames) {
	all = []frames{{name: "1 no octet", send: frame(0x81, ""), texts: []string{"one JSON object"}}, {name: "1 no octet, binary", send: frame(0x82, ""), code: codeProtocolError}}
	for _, n := range []int{125, 126, 127, 128, 65535, 65536} {
		all = append(all, frames{name: fmt.Sprintf("1 %d octets", n), send: frame(0x81, sized(n)), texts: []string{`"id":"x"`}},
			frames{name: fmt.Sprintf("1 %d octets, binary", n), send: frame(0x82, sized(n)), code: codeProtocolError})
	}
	return append(all,
		frames{name: "1 a length in a longer form than it needs", send: join([]byte{0x81, 0xfe, 0, byte(len(text("x"))), 0, 0, 0, 0}, []byte(text("x"))), texts: []string{`"id":"x"`}},
		frames{name: "1 unmasked", send: join([]byte{0x81, byte(len(text("x")))}, []byte(text("x"))), code: codeProtocol})
}

// 2: pings are answered in their order, with what they carried; a pong that nobody asked for is nothing.
func pings() []frames {
	bytesOf, full := "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", strings.Repeat("\xfe", 125)
	var ten []byte
	var pongs []string
	for i := range 10 {
		pongs = append(pongs, fmt.Sprintf("payload-%d", i))
		ten = append(ten, frame(0x89, pongs[i])...)
	}
	return []frames{
		{name: "2 ping", send: frame(0x89, ""), pongs: []string{""}},
		{name: "2 ping with text", send: frame(0x89, "Hello, world!"), pongs: []string{"Hello, world!"}},
		{name: "2 ping with octets that are no text", send: frame(0x89, bytesOf), pongs: []string{bytesOf}},
		{name: "2 ping with 125 octets", send: frame(0x89, full), pongs: []string{full}},
		{name: "2 ping with 126 octets", send: frame(0x89, full+"."), code: codeProtocol},
		{name: "2 pong", send: frame(0x8a, "")},
		{name: "2 pong with text", send: frame(0x8a, "unasked")},
		{name: "2 pong and ping", send: join(frame(0x8a, "unasked"), frame(0x89, "asked")), pongs: []string{"asked"}},
		{name: "2 ten pings", send: ten, pongs: pongs},
	}
}

// 3 and 4: reserved bits and opcodes, alone and among frames that are right.
func reserved() (all []frames) {
	for bits := byte(1); bits <= 7; bits++ {
		for kind, first := range map[string]byte{"text": 0x81, "binary": 0x82, "ping": 0x89, "pong": 0x8a, "close": 0x88} {
			all = append(all, frames{name: fmt.Sprintf("3 reserved bits %d in a %s", bits, kind), send: join(frame(first|bits<<4, ""), frame(0x89, "")), code: codeProtocol})
		}
		all = append(all, frames{name: fmt.Sprintf("3 reserved bits %d after a text", bits), send: join(frame(0x81, text("x")), frame(0x81|bits<<4, text("y"))), code: codeProtocol})
	}
	for _, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		all = append(all,
			frames{name: fmt.Sprintf("4 opcode %d", opcode), send: frame(0x80|opcode, ""), code: codeProtocol},
			frames{name: fmt.Sprintf("4 opcode %d with payload", opcode), send: frame(0x80|opcode, "reserved"), code: codeProtocol},
			frames{name: fmt.Sprintf("4 opcode %d between text and ping", opcode), send: join(frame(0x81, text("x")), frame(0x80|opcode, "reserved"), frame(0x89, "")), code: codeProtocol})
	}
	return all
}

// 5: a message in parts, with control frames between them; control frames themselves are never in parts.
func fragments() []frames {
	x := text("x")
	said := []string{`"id":"x"`}
	return []frames{
		{name: "5 ping in two", send: join(frame(0x09, "a"), frame(0x80, "b")), code: codeProtocol},
		{name: "5 pong in two", send: join(frame(0x0a, "a"), frame(0x80, "b")), code: codeProtocol},
		{name: "5 close in two", send: join(frame(0x08, "\x03"), frame(0x80, "\xe8")), code: codeProtocol},
		{name: "5 text in two", send: join(frame(0x01, x[:5]), frame(0x80, x[5:])), texts: said},
		{name: "5 text in parts of nothing", send: join(frame(0x01, ""), frame(0x00, ""), frame(0x80, x)), texts: said},
		{name: "5 text with a ping inside", send: join(frame(0x01, x[:5]), frame(0x89, "in"), frame(0x80, x[5:])), texts: said, pongs: []string{"in"}},
		{name: "5 text in five with pings inside", send: join(frame(0x01, x[:1]), frame(0x00, x[1:2]), frame(0x89, "one"), frame(0x00, x[2:3]), frame(0x00, x[3:4]), frame(0x89, "two"), frame(0x80, x[4:])),
			texts: said, pongs: []string{"one", "two"}},
		{name: "5 last part of nothing", send: join(frame(0x80, x), frame(0x81, x)), code: codeProtocol},
		{name: "5 part of nothing", send: join(frame(0x00, x), frame(0x81, x)), code: codeProtocol},
		{name: "5 last part after a whole text", send: join(frame(0x01, x[:5]), frame(0x80, x[5:]), frame(0x80, x), frame(0x81, x)), code: codeProtocol},
		{name: "5 part after a whole text", send: join(frame(0x01, x[:5]), frame(0x80, x[5:]), frame(0x00, x), frame(0x81, x)), code: codeProtocol},
		{name: "5 text inside a text", send: join(frame(0x01, x[:5]), frame(0x81, x)), code: codeProtocol},
		{name: "5 two beginnings", send: join(frame(0x01, x[:5]), frame(0x01, x[5:])), code: codeProtocol},
		{name: "5 binary inside a text", send: join(frame(0x01, x[:5]), frame(0x82, "b"), frame(0x80, x[5:])), code: codeProtocol},
	}
}

// utf8Right and utf8Wrong are the sequences of the suite's group 6, but for control characters, which JSON does not allow in a string.
var (
	utf8Right = []string{"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", "Hello-µ@ßöäüàá-UTF-8!!",
		"\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80", "\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf", // first and last of each length
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", // around the surrogates, and the replacement character
		"\xef\xbf\xbe", "\xf0\x9f\xbf\xbe", "\xf0\xaf\xbf\xbf", "\xf3\xbf\xbf\xbe", "\xf4\x8f\xbf\xbe", // noncharacters
		"\xef\xbf\xb9", "\xef\xbf\xba", "\xef\xbf\xbb", "\xef\xbf\xbc"} // specials
	utf8Wrong = []string{"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", "\xce", "\xce\xba\xe1", "\xce\xba\xe1\xbd", "\xf4\x90\x80\x80",
		"\xf7\xbf\xbf\xbf", "\xf8\x88\x80\x80\x80", "\xfb\xbf\xbf\xbf\xbf", "\xfc\x84\x80\x80\x80\x80", "\xfd\xbf\xbf\xbf\xbf\xbf", // beyond what there is
		"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80\xbf\x80\xbf\x80", // continuations of nothing
		"\xc0 \xc1 \xdf ", "\xe0 \xe8 \xef ", "\xf0 \xf4 \xf7 ", "\xf8 \xfb ", "\xfc \xfd ", // beginnings alone
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80", "\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf", // the last octet is missing
		"\xfe", "\xff", "\xfe\xfe\xff\xff", // octets that never occur
		"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf", // longer than needed
		"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80",
		"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf"} // surrogates, also in pairs
)

// 6: text is UTF-8, wherever it is cut.
func utf8Texts() (all []frames) {
	halves := func(s string) []byte { return join(frame(0x01, s[:8]), frame(0x80, s[8:])) } // in the first character of the id
	for _, id := range utf8Right {
		all = append(all, frames{name: fmt.Sprintf("6 right %x", id), send: frame(0x81, text(id)), texts: []string{`"id":"` + id + `"`}},
			frames{name: fmt.Sprintf("6 right %x in two", id), send: halves(text(id)), texts: []string{`"id":"` + id + `"`}})
	}
	for _, id := range utf8Wrong {
		all = append(all, frames{name: fmt.Sprintf("6 wrong %x", id), send: frame(0x81, text(id)), code: codeInvalidText},
			frames{name: fmt.Sprintf("6 wrong %x in two", id), send: halves(text(id)), code: codeInvalidText})
	}
	return append(all, frames{name: "6 cut short at the end", send: frame(0x81, "{\"id\":\"\xf4"), code: codeInvalidText})
}

// 7: a close is answered with its code and ends all that follows; one that is not right is a fault.
func closings() (all []frames) {
	x := text("x")
	all = []frames{
		{name: "7 close after a text", send: join(frame(0x81, ""), closing(1000, "")), code: 1000},
		{name: "7 two closes", send: join(closing(1000, ""), closing(1000, "")), code: 1000},
		{name: "7 ping after close", send: join(closing(1000, ""), frame(0x89, "late")), code: 1000},
		{name: "7 text after close", send: join(closing(1000, ""), frame(0x81, x)), code: 1000},
		{name: "7 close inside a text", send: join(frame(0x01, x[:5]), closing(1000, ""), frame(0x80, x[5:])), code: 1000},
		{name: "7 close after a long text", send: join(frame(0x81, sized(65000)), closing(1000, ""), frame(0x89, "late")), code: 1000},
		{name: "7 close without code", send: frame(0x88, ""), code: noCode},
		{name: "7 close with one octet", send: frame(0x88, "x"), code: codeProtocol},
		{name: "7 close with reason", send: closing(1000, "Hello World!"), code: 1000},
		{name: "7 close with 123 octets of reason", send: closing(3999, strings.Repeat("*", 123)), code: 3999},
		{name: "7 close with 124 octets of reason", send: closing(1000, strings.Repeat("*", 124)), code: codeProtocol},
		{name: "7 close with a reason that is not UTF-8", send: closing(1000, "\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80"), code: codeInvalidText},
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999} {
		all = append(all, frames{name: fmt.Sprintf("7 close with %d", code), send: closing(code, ""), code: int(code)})
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		all = append(all, frames{name: fmt.Sprintf("7 close with %d, which nobody may send", code), send: closing(code, ""), code: codeProtocol})
	}
	return all
}

// 9: more than the limit, by the length that is announced or by what comes.
func limits() []frames {
	announced := func(n uint64) []byte { return append(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, n), 0, 0, 0, 0) }
	return []frames{
		{name: "9 one octet above the limit", send: frame(0x81, sized(65537)), code: codeTooLarge},
		{name: "9 far above the limit", send: frame(0x81, sized(1<<20)), code: codeTooLarge},
		{name: "9 above the limit in parts", send: join(frame(0x01, sized(40_000)), frame(0x00, sized(40_000)), frame(0x80, "")), code: codeTooLarge},
		{name: "9 length of 2^63", send: announced(1 << 63), code: codeProtocol},
		{name: "9 length of 2^62", send: join(announced(1<<62), bytes.Repeat([]byte(" "), 1<<17)), code: codeTooLarge},
	}
}
