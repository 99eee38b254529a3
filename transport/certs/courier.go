package certs

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// courier carries an issuer's messages to its authority. It does two things
// that autocert leaves out: it refuses to order what no service asks for any
// more (autocert renews for ever), and remembers what the authority said about
// challenges that failed (autocert says only that none is left to try).
type courier struct {
	serves func(host string) error
	next   http.RoundTripper

	mu   sync.Mutex
	said map[string][]string // by host; the challenges that failed
}

// maxAnswer is more than any answer that is looked into has, in bytes.
const maxAnswer = 1 << 20

func newCourier(serves func(host string) error, roots *Roots) *courier {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 30 * time.Second
	if roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots.pool}
	}
	return &courier{serves: serves, next: transport, said: map[string][]string{}}
}

// RoundTrip implements http.RoundTripper.
func (c *courier) RoundTrip(request *http.Request) (*http.Response, error) {
	for _, host := range orderedHosts(request) {
		if err := c.serves(host); err != nil {
			return nil, fmt.Errorf("%s is not ordered: %w", host, err)
		}
	}
	response, err := c.next.RoundTrip(request)
	if err == nil && strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		err = c.listen(response)
	}
	return response, err
}

// orderedHosts returns the hosts of a new order (RFC 8555, section 7.4): the
// payload of a signed message.
func orderedHosts(request *http.Request) (hosts []string) {
	if request.GetBody == nil {
		return nil
	}
	body, err := request.GetBody()
	if err != nil {
		return nil
	}
	defer body.Close()
	var signed struct{ Payload string }
	if json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&signed) != nil {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err != nil {
		return nil
	}
	var order struct{ Identifiers []struct{ Value string } }
	if json.Unmarshal(payload, &order) != nil {
		return nil
	}
	for _, identifier := range order.Identifiers {
		hosts = append(hosts, identifier.Value)
	}
	return hosts
}

// authorization is what is read of an answer of RFC 8555, section 7.1.4.
type authorization struct {
	Identifier struct{ Value string }
	Challenges []struct {
		Type  string
		Error struct{ Detail string }
	}
}

func (c *courier) listen(response *http.Response) error {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("unable to read the authority's answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	var z authorization
	if json.Unmarshal(body, &z) != nil {
		return nil
	}
	for _, challenge := range z.Challenges {
		if challenge.Error.Detail != "" {
			c.note(z.Identifier.Value, challenge.Type+": "+challenge.Error.Detail)
		}
	}
	return nil
}

func (c *courier) note(host, what string) {
	const enough = 4
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.said[host]) < enough {
		c.said[host] = append(c.said[host], what)
	}
}

// heard returns what was said about a host's challenges, and forgets it.
func (c *courier) heard(host string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said[host]
	delete(c.said, host)
	return strings.Join(said, "; ")
}
