package integration

import (
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// long reports whether the long forms were asked for, by make storm.
func long() bool { return os.Getenv("KAMAL_PROXY_STORM") != "" }

// either is how many of something the long and the short form have.
func either(many, few int) int {
	if long() {
		return many
	}
	return few
}

// unhurried is a flag of daemons in a storm: a machine that is slow to shake hands
// is none of their faults.
const unhurried = "--head-timeout=1m"

// storm is load at a constant rate on a daemon, over all protocols at once:
// vegeta's requests, and those of clients that try nothing a second time.
type storm struct {
	t        *testing.T
	d        *daemon
	pool     *x509.CertPool // that trusts the services' certificate
	services []*stormService
	attacks  []*attack
	stricts  []*strict
	tally    tally
	began    time.Time
	crashes  bool // the daemon is to be killed: idle connections will break
}

// startStorm deploys the services and begins; rate is that of each of
// vegeta's three protocols, a second.
func startStorm(t *testing.T, d *daemon, rate int) *storm {
	t.Helper()
	s := &storm{t: t, d: d}
	s.start(rate)
	return s
}

func (s *storm) start(rate int) {
	if slices.Contains(buildFlags, "-race") {
		rate /= 3 // several times as slow; at its full rate handshakes would meet --head-timeout
	}
	s.t.Helper()
	s.began = time.Now()
	cert, key, pool := certificate(s.t, s.t.TempDir(), stormHosts...)
	s.pool = pool
	for _, host := range stormHosts {
		service := newStormService(s.t, host, "--tls", "--tls-redirect=false", "--tls-certificate-path", cert, "--tls-private-key-path", key)
		s.d.must(service.order(service.now)...)
		s.services = append(s.services, service)
	}
	s.load(rate)
}

// load starts what sends requests.
func (s *storm) load(rate int) {
	s.t.Helper()
	s.attacks = []*attack{
		startAttack(s.t, "HTTP/1.1", rate, wishes("http"), s.via("80", s.d.http)...),
		startAttack(s.t, "TLS", rate, wishes("https"), append(s.via("443", s.d.https), "-insecure", "-http2=false")...),
		startAttack(s.t, "h2", rate, wishes("https"), append(s.via("443", s.d.https), "-insecure")...),
	}
	s.loadStrictly("HTTP/1.1", s.d.dialPlain)
	s.loadStrictly("TLS", s.d.dialSecure(plainHost))
	if slices.Contains(s.d.args, "--http3") {
		client := startStrict(&s.tally, nil)
		for _, host := range stormHosts {
			client.overQUIC(overQUIC(s.t, s.d, s.pool), host)
		}
		s.stricts = append(s.stricts, client)
	}
	s.loadBeside()
}

func (s *storm) loadStrictly(lane string, dial func() (net.Conn, error)) {
	client := startStrict(&s.tally, dial)
	client.looks = s.crashes
	for _, host := range stormHosts {
		for range 3 {
			client.keepAlive(lane+" strict GET", host, "")
			client.keepAlive(lane+" strict POST", host, strings.Repeat("x", 1000))
			client.webSocket(lane+" WebSocket", host)
		}
	}
	s.stricts = append(s.stricts, client)
}

// loadBeside asks an instance that is not behind the daemon, to show what the
// machine makes of it.
func (s *storm) loadBeside() {
	beside := startInstance(s.t, "")
	client := startStrict(&s.tally, func() (net.Conn, error) { return net.Dial("tcp", beside.address) })
	for range 4 {
		client.keepAlive("(without us) GET", plainHost, "")
	}
	s.stricts = append(s.stricts, client)
}

// via leads the names of the services to a port of the daemon.
func (s *storm) via(from string, port int) (flags []string) {
	for _, host := range stormHosts {
		flags = append(flags, "-connect-to", fmt.Sprintf("%s:%s:127.0.0.1:%d", host, from, port))
	}
	return flags
}

// wishes is a round of requests: many short ones, bodies in both buffering
// modes, streams that end within the drain's time, and slow ones.
func wishes(scheme string) (list []wish) {
	upload := strings.Repeat("0123456789abcdef", 4096)
	for _, host := range stormHosts {
		url := scheme + "://" + host
		list = append(list,
			wish{method: "GET", url: url + "/", share: 7, expectation: expectation{"GET", pageEnd}},
			wish{method: "POST", url: url + "/upload", body: upload, share: 3, expectation: expectation{"POST 64 KiB", received(upload)}},
			wish{method: "GET", url: url + "/events", share: 1, expectation: expectation{"events", eventsEnd}},
			wish{method: "GET", url: url + "/slow", share: 1, expectation: expectation{"slow", slowEnd}},
		)
	}
	return list
}

// end stops the load and prints what became of it.
func (s *storm) end(title string) {
	s.t.Helper()
	for _, a := range s.attacks {
		a.stop()
	}
	for _, client := range s.stricts {
		client.end()
	}
	for _, a := range s.attacks {
		a.count(&s.tally)
	}
	s.tally.note("%s in all", time.Since(s.began).Round(100*time.Millisecond))
	s.tally.print(s.t, title)
	for _, kind := range []string{"HTTP/1.1 GET", "TLS GET", "h2 GET", "h2 slow", "TLS WebSocket echo", "HTTP/1.1 strict POST"} {
		if len(s.tally.took[kind]) == 0 {
			s.t.Errorf("not one request of the kind %q", kind)
		}
	}
}

// Deploys under load at a constant rate, with old targets that are gone the
// moment their deploy returns.
func TestDeployStorm(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "--http3", unhurried)
	s := startStorm(t, d, 100)
	s.deploys(either(67, 3))
	s.tally.note("%d deploys", s.made())
	s.end("deploy storm")
	s.tally.nothingLost(t)
}
