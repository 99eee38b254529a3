package ingress

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"
	"sync"
)

// The PROXY protocol, versions 1 and 2, as its specification has it ("The PROXY
// protocol", 2020/03/05): what a load balancer that passes on bytes says, before
// these, of the client that they come from.

// proxyLineMost and proxyHeaderMost bound what a header of version 1 and 2 may
// take, in bytes. Version 1 has this bound from its specification; addresses need
// no more than 232 in version 2, the rest is for what else is said.
const (
	proxyLineMost   = 107
	proxyHeaderMost = inletSize
)

const (
	proxyLineStart = "PROXY "
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyFixed     = len(proxySignature) + 4 // bytes of version 2 before the addresses
)

// proxyFlaw says what is wrong with a header.
type proxyFlaw string

func (f proxyFlaw) Error() string { return "the PROXY protocol header is refused: " + string(f) }

// proxyExtent tells how many of the bytes that a connection begins with are its
// header's, and whether these are all. It errs where no header can begin so.
func proxyExtent(start []byte) (n int, whole bool, err error) {
	switch {
	case begins(start, proxySignature):
		if len(start) < proxyFixed {
			return len(start), false, nil
		}
		total := proxyFixed + int(binary.BigEndian.Uint16(start[proxyFixed-2:]))
		if total > proxyHeaderMost {
			return 0, false, proxyFlaw("it is too long")
		}
		return min(len(start), total), len(start) >= total, nil
	case begins(start, proxyLineStart):
		line := start[:min(len(start), proxyLineMost)]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			return end + 1, true, nil
		}
		if len(line) == proxyLineMost {
			return 0, false, proxyFlaw("its line does not end")
		}
		return len(line), false, nil
	}
	return 0, false, proxyFlaw("the connection begins with something else")
}

// begins reports whether start begins with text, or is the beginning of it.
func begins(start []byte, text string) bool {
	n := min(len(start), len(text))
	return string(start[:n]) == text[:n]
}

// parseProxyHeader reads a whole header. The client is not valid where the
// header names none: then the connection's other end is to be taken for it.
func parseProxyHeader(header []byte) (client netip.AddrPort, err error) {
	if begins(header, proxySignature) {
		return parseProxyBinary(header)
	}
	return parseProxyLine(string(header))
}

// parseProxyLine reads version 1 (section 2.1).
func parseProxyLine(line string) (client netip.AddrPort, err error) {
	line, ended := strings.CutSuffix(line, "\r\n")
	line, begun := strings.CutPrefix(line, proxyLineStart)
	if !ended || !begun || strings.ContainsFunc(line, notVisible) {
		return client, proxyFlaw("it is no line of version 1")
	}
	family, rest, _ := strings.Cut(line, " ")
	if family == "UNKNOWN" {
		return client, nil
	}
	parts := strings.Split(rest, " ")
	if family != "TCP4" && family != "TCP6" || len(parts) != 4 {
		return client, proxyFlaw("its line is not of version 1's form")
	}
	source, ok1 := proxyAddress(parts[0], parts[2], family == "TCP4")
	_, ok2 := proxyAddress(parts[1], parts[3], family == "TCP4")
	if !ok1 || !ok2 {
		return client, proxyFlaw("it has an address or port that is none")
	}
	return source, nil
}

func notVisible(r rune) bool { return r < ' ' || r > '~' }

func proxyAddress(address, port string, v4 bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() != v4 || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || port != strconv.FormatUint(p, 10) { // no zeros before it
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}

// What version 2 says in its 13th and 14th byte: the version with the command,
// and the family with the kind of transport.
const (
	proxyLocal   = 0x20
	proxyCommand = 0x21

	proxyUnspecified = 0x00
	proxyTCP4        = 0x11
	proxyTCP6        = 0x21
	proxyUnixStream  = 0x31
)

// proxyAddressSizes are the bytes of both addresses and ports.
var proxyAddressSizes = map[byte]int{proxyTCP4: 12, proxyTCP6: 36, proxyUnixStream: 216}

// parseProxyBinary reads version 2 (section 2.2).
func parseProxyBinary(header []byte) (client netip.AddrPort, err error) {
	if len(header) < proxyFixed || len(header) != proxyFixed+int(binary.BigEndian.Uint16(header[proxyFixed-2:])) {
		return client, proxyFlaw("it is not as long as it says")
	}
	command, family := header[12], header[13]
	switch {
	case command == proxyLocal: // the load balancer's own, such as a health check
		return client, nil
	case command != proxyCommand:
		return client, proxyFlaw("it has a version or command that is not known")
	case family == proxyUnspecified:
		return client, nil
	}
	size, known := proxyAddressSizes[family]
	addresses := header[proxyFixed:]
	switch {
	case !known:
		return client, proxyFlaw("it is of a family or transport that a TCP connection cannot have")
	case len(addresses) < size:
		return client, proxyFlaw("its addresses are cut short")
	}
	if err := checkProxyExtras(header, proxyFixed+size); err != nil {
		return client, err
	}
	switch family {
	case proxyTCP4:
		client = binaryAddress(addresses[:4], addresses[8:])
	case proxyTCP6:
		client = binaryAddress(addresses[:16], addresses[32:])
	}
	return client, nil
}

func binaryAddress(address, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(address)
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}

const proxyChecksum = 0x03

// castagnoli is made when it is first used, and not whenever a command starts.
var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// checkProxyExtras looks through what follows the addresses (section 2.2.1):
// types with lengths and values. None of them changes anything for us, but a
// checksum has to be right.
func checkProxyExtras(header []byte, from int) error {
	checked := false
	for at := from; at < len(header); {
		if len(header)-at < 3 {
			return proxyFlaw("what follows its addresses is cut short")
		}
		kind, value := header[at], at+3
		at = value + int(binary.BigEndian.Uint16(header[at+1:]))
		if at > len(header) {
			return proxyFlaw("what follows its addresses is cut short")
		}
		if kind != proxyChecksum {
			continue
		}
		if checked || at-value != 4 || binary.BigEndian.Uint32(header[value:]) != proxySum(header, value) {
			return proxyFlaw("its checksum is wrong")
		}
		checked = true
	}
	return nil
}

// proxySum is the checksum of a header, whose own four bytes count as zeros.
func proxySum(header []byte, at int) uint32 {
	var zeros [4]byte
	sum := crc32.Update(0, castagnoli(), header[:at])
	sum = crc32.Update(sum, castagnoli(), zeros[:])
	return crc32.Update(sum, castagnoli(), header[at+4:])
}
