package spec

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// AnyHost stands for every host that no other service has.
const AnyHost = ""

// Bounds of RFC 1035, 2.3.4, in bytes.
const (
	maxHost  = 253
	maxLabel = 63
)

// Names that resolvers accept go beyond what registrars do: underscores and
// any hyphens pass. Lengths are checked by checkLabels.
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(),
	idna.StrictDomainName(false), idna.CheckHyphens(false))

// NormalizeHost returns the form in which a service's host is kept and
// compared: ASCII (IDNA), lower case, without blanks around it, a dot at its
// end, or an IPv6 address's brackets. Nothing and "*" are AnyHost;
// "*.example.com" stands for one label below example.com. A port is refused,
// since requests match whatever port they name.
func NormalizeHost(host string) (string, error) {
	name := strings.TrimSpace(host)
	if name == "" || name == "*" {
		return AnyHost, nil
	}
	if address, ok := ipv6(name); ok {
		return address, nil
	}
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		return "", fmt.Errorf("host %q has a port or is no address: give the host alone, it is matched on every port", host)
	}
	name, err := asciiHost(name)
	if err == nil {
		err = checkLabels(name)
	}
	if err != nil {
		return "", fmt.Errorf("host %q is not a valid host name: %w", host, err)
	}
	return name, nil
}

// RequestHost returns the host that a request asks for, in the form of
// NormalizeHost, from its Host field or :authority. What is no valid host
// comes back much as it was and matches no service's host.
func RequestHost(authority string) string {
	for i := 0; i < len(authority); i++ {
		switch c := authority[i]; {
		case c >= 'A' && c <= 'Z', c == ':', c == '[', c >= utf8.RuneSelf:
			return requestHost(authority)
		}
	}
	return strings.TrimSuffix(authority, ".")
}

func requestHost(authority string) string {
	host := authority
	if end := strings.IndexByte(host, ']'); host[0] == '[' && end > 0 {
		host = host[:end+1]
	} else if i := strings.IndexByte(host, ':'); i >= 0 && i == strings.LastIndexByte(host, ':') {
		host = host[:i]
	}
	if address, ok := ipv6(host); ok {
		return address
	}
	if name, err := asciiHost(host); err == nil {
		return name
	}
	return host
}

// ipv6 reports whether host is an IPv6 address, in brackets or not, and
// returns it in the form of RFC 5952.
func ipv6(host string) (string, bool) {
	if strings.IndexByte(host, ':') < 0 {
		return "", false
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	address, err := netip.ParseAddr(host)
	if err != nil || address.Zone() != "" {
		return "", false
	}
	return address.String(), true
}

func asciiHost(host string) (string, error) {
	if !isASCII(host) {
		if !utf8.ValidString(host) {
			return "", errors.New("it is not UTF-8")
		}
		ascii, err := toASCII.ToASCII(host)
		if err != nil {
			return "", err
		}
		host = ascii
	}
	return strings.TrimSuffix(strings.ToLower(host), "."), nil
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func checkLabels(host string) error {
	if len(host) > maxHost {
		return fmt.Errorf("it is longer than %d bytes", maxHost)
	}
	for label := range strings.SplitSeq(strings.TrimPrefix(host, "*."), ".") {
		if label == "" {
			return errors.New("a part between dots is empty")
		}
		if len(label) > maxLabel {
			return fmt.Errorf("a part between dots is longer than %d bytes", maxLabel)
		}
		if i := strings.IndexFunc(label, notInHost); i >= 0 {
			if label[i] == '*' {
				return errors.New("a wildcard is the whole first part, as in *.example.com")
			}
			return fmt.Errorf("%q may not be in it", label[i])
		}
	}
	return nil
}

// notInHost reports whether c would end a host, or never comes in one.
func notInHost(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`*/\?#@[]:%"<>^`+"`{|},", c)
}

// IsWildcard reports whether host, as NormalizeHost returns it, stands for the
// labels below another host.
func IsWildcard(host string) bool { return strings.HasPrefix(host, "*.") }
