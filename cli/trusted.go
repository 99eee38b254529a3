package cli

import (
	"fmt"
	"net/netip"
	"strings"
)

// networks is a flag's value that names networks: each time it is given, one or
// several with commas between. A single address is the network of itself.
type networks []netip.Prefix

func (n *networks) Type() string { return "networks" }

func (n *networks) String() string {
	texts := make([]string, len(*n))
	for i, network := range *n {
		texts[i] = network.String()
	}
	return strings.Join(texts, ",")
}

// Set adds all that s names, or nothing.
func (n *networks) Set(s string) error {
	var added []netip.Prefix
	for one := range strings.SplitSeq(s, ",") {
		network, err := parseNetwork(strings.TrimSpace(one))
		if err != nil {
			return err
		}
		added = append(added, network)
	}
	*n = append(*n, added...)
	return nil
}

// parseNetwork reads "10.0.0.0/8" or "10.0.0.1". Bits behind the network's are
// left out of account; IPv4 that is mapped to IPv6 is IPv4.
func parseNetwork(s string) (netip.Prefix, error) {
	wrong := fmt.Errorf("%q is no network: give it as 10.0.0.0/8 or 2001:db8::/32, or as a single address", s)
	if !strings.Contains(s, "/") {
		address, err := netip.ParseAddr(s)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, wrong
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, wrong
	}
	if address, bits := network.Addr(), network.Bits(); address.Is4In6() {
		if bits < 96 {
			return netip.Prefix{}, wrong
		}
		network = netip.PrefixFrom(address.Unmap(), bits-96)
	}
	return network.Masked(), nil
}
