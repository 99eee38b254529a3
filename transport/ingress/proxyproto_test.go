package ingress

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
)

// binaryHeader is one of version 2, whose length is that of what follows.
func binaryHeader(command, family byte, rest ...string) string {
	after := strings.Join(rest, "")
	h := append([]byte(proxySignature), command, family)
	return string(binary.BigEndian.AppendUint16(h, uint16(len(after)))) + after
}

const (
	// 203.0.113.9:4242 to 192.0.2.1:443
	fourAddresses = "\xcb\x00\x71\x09\xc0\x00\x02\x01\x10\x92\x01\xbb"
	// [2001:db8::9]:4242 to [2001:db8::1]:443
	sixAddresses = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x10\x92\x01\xbb"
)

// checked is a header of version 2 with a right checksum behind the addresses.
func checked(family byte, addresses string, extras ...string) string {
	h := []byte(binaryHeader(0x21, family, append([]string{addresses, "\x03\x00\x04\x00\x00\x00\x00"}, extras...)...))
	sum := crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(h[16+len(addresses)+3:], sum)
	return string(h)
}

var proxyHeaders = []struct {
	header string
	client string // "": it names none; "-": it is refused
}{
	// Version 1: the examples of section 2.1 of its specification, and its bounds.
	{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 4242 443\r\n", "203.0.113.9:4242"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 0 0\r\n", "203.0.113.9:0"},
	{"PROXY TCP6 2001:DB8::9 2001:db8::1 4242 443\r\n", "[2001:db8::9]:4242"},
	{"PROXY TCP6 ::ffff:203.0.113.9 ::1 1 1\r\n", "203.0.113.9:1"},
	{"PROXY UNKNOWN\r\n", ""},
	{"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""},
	{"PROXY UNKNOWN whatever\r\n", ""},
	{"PROXY\r\n", "-"},
	{"PROXY \r\n", "-"},
	{"PROXY unknown\r\n", "-"},
	{"PROXY UNKNOWNX\r\n", "-"},
	{"PROXY UNKNOWN\n", "-"},
	{"PROXY UNKNOWN \x00\r\n", "-"},
	{"PROXY UNKNOWN \r\r\n", "-"},
	{"PROXY TCP4\r\n", "-"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 4242 443\n", "-"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 4242 443 \r\n", "-"},
	{"PROXY TCP4  203.0.113.9 192.0.2.1 4242 443\r\n", "-"},
	{"PROXY  TCP4 203.0.113.9 192.0.2.1 4242 443\r\n", "-"},
	{"PROXY TCP4\t203.0.113.9 192.0.2.1 4242 443\r\n", "-"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 4242\r\n", "-"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 4242 443 1\r\n", "-"},
	{"PROXY TCP4 203.0.113.09 192.0.2.1 4242 443\r\n", "-"},
	{"PROXY TCP4 203.0.113.256 192.0.2.1 4242 443\r\n", "-"},
	{"PROXY TCP4 203.0.113 192.0.2.1 4242 443\r\n", "-"},
	{"PROXY TCP4 203.0.113.9 x 4242 443\r\n", "-"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 04242 443\r\n", "-"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 +1 443\r\n", "-"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 -1 443\r\n", "-"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 65536 443\r\n", "-"},
	{"PROXY TCP4 203.0.113.9 192.0.2.1 4242 443x\r\n", "-"},
	{"PROXY TCP4 ::1 ::1 1 1\r\n", "-"},
	{"PROXY TCP6 203.0.113.9 192.0.2.1 4242 443\r\n", "-"},
	{"PROXY TCP6 fe80::1%lo ::1 1 1\r\n", "-"},
	{"PROXY TCP6 2001::db8::9 ::1 1 1\r\n", "-"},
	{"PROXY TCP5 203.0.113.9 192.0.2.1 4242 443\r\n", "-"},
	{"proxy TCP4 203.0.113.9 192.0.2.1 4242 443\r\n", "-"},
	{"PROXY UNKNOWN " + strings.Repeat("x", 107-16) + "\r\n", ""},
	{"PROXY UNKNOWN " + strings.Repeat("x", 107-15) + "\r\n", "-"},

	// Version 2.
	{binaryHeader(0x21, 0x11, fourAddresses), "203.0.113.9:4242"},
	{binaryHeader(0x21, 0x21, sixAddresses), "[2001:db8::9]:4242"},
	{binaryHeader(0x21, 0x21, strings.Repeat("\x00", 10)+"\xff\xff\xcb\x00\x71\x09"+sixAddresses[16:]), "203.0.113.9:4242"},
	{binaryHeader(0x21, 0x31, strings.Repeat("s", 216)), ""},
	{binaryHeader(0x21, 0x00), ""},
	{binaryHeader(0x21, 0x00, "whatever"), ""},
	{binaryHeader(0x20, 0x00), ""},
	{binaryHeader(0x20, 0xff, "whatever"), ""},
	{binaryHeader(0x20, 0x11, fourAddresses), ""},
	{binaryHeader(0x21, 0x11, fourAddresses, "\x04\x00\x03abc", "\x20\x00\x05\x01\x00\x00\x00\x00"), "203.0.113.9:4242"},
	{binaryHeader(0x21, 0x11, fourAddresses, "\x04\x0f\xe1"+strings.Repeat("x", 4096-16-12-3)), "203.0.113.9:4242"},
	{checked(0x11, fourAddresses), "203.0.113.9:4242"},
	{checked(0x21, sixAddresses, "\xea\x00\x01x"), "[2001:db8::9]:4242"},
	{binaryHeader(0x21, 0x11, fourAddresses, "\x04\x0f\xe2"+strings.Repeat("x", 4096-16-12-2)), "-"},
	{binaryHeader(0x21, 0x11, fourAddresses[:11]), "-"},
	{binaryHeader(0x21, 0x21, sixAddresses[:35]), "-"},
	{binaryHeader(0x21, 0x31, strings.Repeat("s", 215)), "-"},
	{binaryHeader(0x21, 0x12, fourAddresses), "-"},
	{binaryHeader(0x21, 0x22, sixAddresses), "-"},
	{binaryHeader(0x21, 0x10, fourAddresses), "-"},
	{binaryHeader(0x21, 0x41, fourAddresses), "-"},
	{binaryHeader(0x22, 0x11, fourAddresses), "-"},
	{binaryHeader(0x11, 0x11, fourAddresses), "-"},
	{binaryHeader(0x31, 0x11, fourAddresses), "-"},
	{binaryHeader(0x21, 0x11, fourAddresses, "\x04"), "-"},
	{binaryHeader(0x21, 0x11, fourAddresses, "\x04\x00"), "-"},
	{binaryHeader(0x21, 0x11, fourAddresses, "\x04\x00\x02a"), "-"},
	{binaryHeader(0x21, 0x11, fourAddresses, "\x03\x00\x04abcd"), "-"},
	{binaryHeader(0x21, 0x11, fourAddresses, "\x03\x00\x03abc"), "-"},
	{binaryHeader(0x21, 0x11, fourAddresses, checked(0x11, fourAddresses)[28:]), "203.0.113.9:4242"},
	{checked(0x11, fourAddresses, "\x03\x00\x04abcd"), "-"},

	// Neither.
	{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "-"},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "-"},
	{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "-"},
	{"\r\n\r\n\x00\r\nQUIT\r", "-"},
	{"\r\n\r\nGET / HTTP/1.1\r\n\r\n", "-"},
}

// takeHeader reads a header in pieces, as from a socket, and returns what was
// left of the input.
func takeHeader(in string, piece int) (client netip.AddrPort, left string, err error) {
	for seen := min(piece, len(in)); ; seen = min(seen+piece, len(in)) {
		n, whole, err := proxyExtent([]byte(in[:seen]))
		if err != nil {
			return client, in, err
		}
		if whole {
			client, err = parseProxyHeader([]byte(in[:n]))
			return client, in[n:], err
		}
		if n != seen {
			return client, in, proxyFlaw("the test found that bytes are left that may be the header's")
		}
		if seen == len(in) {
			return client, in, proxyFlaw("it does not end")
		}
	}
}

func TestProxyHeaders(t *testing.T) {
	const after = "\r\n\r\nGET / HTTP/1.1\r\nHost: PROXY\r\n\r\n"
	for _, c := range proxyHeaders {
		for _, piece := range []int{1, 7, 1 << 20} {
			client, left, err := takeHeader(c.header+after, piece)
			got := client.String()
			switch {
			case err != nil:
				got = "-"
			case !client.IsValid():
				got = ""
			}
			if got != c.client {
				t.Errorf("%.60q, %d at once: %q, %v, want %q", c.header, piece, got, err, c.client)
			}
			if err == nil && left != after {
				t.Errorf("%.60q, %d at once: %q is left", c.header, piece, left)
			}
		}
	}
}

func TestHalfAHeaderIsNone(t *testing.T) {
	for _, header := range []string{proxyHeaders[0].header, checked(0x11, fourAddresses)} {
		for n := 1; n < len(header); n++ {
			if got, whole, err := proxyExtent([]byte(header[:n])); got != n || whole || err != nil {
				t.Fatalf("%q: %d, %t, %v", header[:n], got, whole, err)
			}
			if _, err := parseProxyHeader([]byte(header[:n])); err == nil {
				t.Errorf("%q is a header", header[:n])
			}
		}
	}
}

// FuzzProxyHeader: whatever comes, it is read alike however it is cut, nothing
// that follows is taken, and what is accepted is what it must look like.
func FuzzProxyHeader(f *testing.F) {
	for _, c := range proxyHeaders {
		f.Add([]byte(c.header + "GET /"))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		parseProxyHeader(in)
		client, left, err := takeHeader(string(in), len(in)+1)
		client1, left1, err1 := takeHeader(string(in), 1)
		if client != client1 || left != left1 || (err == nil) != (err1 == nil) {
			t.Errorf("at once %v, %d left, %v; by the byte %v, %d left, %v", client, len(left), err, client1, len(left1), err1)
		}
		if err != nil {
			return
		}
		header := in[:len(in)-len(left)]
		if client.IsValid() && client.Addr().Is4In6() || client.Addr().Zone() != "" {
			t.Errorf("the client is %v", client)
		}
		if bytes.HasPrefix(header, []byte(proxySignature)) {
			if len(header) < 16 || len(header) > proxyHeaderMost || len(header) != 16+int(binary.BigEndian.Uint16(header[14:])) {
				t.Errorf("%q is a header of version 2", header)
			}
			return
		}
		if !bytes.HasPrefix(header, []byte("PROXY ")) || !bytes.HasSuffix(header, []byte("\r\n")) || len(header) > 107 ||
			bytes.Count(header, []byte("\n")) != 1 {
			t.Errorf("%q is a header of version 1", header)
		}
	})
}
