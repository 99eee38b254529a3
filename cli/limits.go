package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// Limits bound what clients may take.
type Limits struct {
	HeadTimeout time.Duration // of a request's head, and a TLS handshake
	IdleTimeout time.Duration // of a connection without a request
	BodyTimeout time.Duration // of a request's body, without a byte

	MaxHeaderBytes, MaxHeaderFields int // of a request

	MaxConnections        int // 0: as many as the process may open files for
	MaxClientConnections  int // of one address; 0: any number
	MaxConnectionRequests int // of one HTTP/2 connection; 0: any number
	MaxStreamResets       int // of HTTP/2, a second on one connection
	MaxHandshakes         int // of TLS, computed at once; 0: one for each CPU
}

func defaultLimits() Limits {
	return Limits{
		HeadTimeout: 10 * time.Second, IdleTimeout: 620 * time.Second, BodyTimeout: 60 * time.Second,
		MaxHeaderBytes: 64 << 10, MaxHeaderFields: 1000, MaxStreamResets: 100,
	}
}

func (l *Limits) addFlags(f *pflag.FlagSet) {
	f.Var((*period)(&l.HeadTimeout), "head-timeout", "how long a request's head, or a TLS handshake, may take")
	f.Var((*period)(&l.IdleTimeout), "idle-timeout", "how long a connection may be without a request")
	f.Var((*period)(&l.BodyTimeout), "body-timeout", "how long the next part of a request's body may take")
	f.Var((*positive)(&l.MaxHeaderBytes), "max-header-bytes", "most `bytes` of a request's head")
	f.Var((*positive)(&l.MaxHeaderFields), "max-header-fields", "most fields of a request's head")
	f.Var((*count)(&l.MaxConnections), "max-connections", "most connections of clients, 0 for as many as there may be open files for")
	f.Var((*count)(&l.MaxClientConnections), "max-client-connections", "most connections from one address, 0 for no limit")
	f.Var((*count)(&l.MaxConnectionRequests), "max-connection-requests", "most requests on one HTTP/2 connection, 0 for no limit")
	f.Var((*positive)(&l.MaxStreamResets), "max-stream-resets", "most requests a second that an HTTP/2 connection may cancel")
	f.Var((*count)(&l.MaxHandshakes), "max-handshakes", "how many TLS handshakes are computed at once, 0 for one on each CPU")
}

// period is a flag's value that is a time above 0.
type period time.Duration

func (p *period) String() string { return time.Duration(*p).String() }
func (p *period) Type() string   { return "duration" }

func (p *period) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("it must be a time above 0, such as 30s or 5m")
	}
	*p = period(d)
	return nil
}

// positive is a flag's value from 1 on.
type positive int

func (n *positive) String() string { return strconv.Itoa(int(*n)) }
func (n *positive) Type() string   { return "number" }

func (n *positive) Set(s string) error {
	v, err := strconv.ParseUint(s, 10, 31)
	if err != nil || v == 0 {
		return fmt.Errorf("it must be a whole number, 1 or more")
	}
	*n = positive(v)
	return nil
}
