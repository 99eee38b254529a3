package ingress

import (
	"cmp"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// CrowdLimits bound what all clients may take together. A zero field means its
// default.
type CrowdLimits struct {
	Connections int // open at once; any number
	PerClient   int // open at once from one address, of IPv6 from one /64; any number
	Handshakes  int // of TLS, computed at once; one for each CPU
}

// Crowd is everybody who is connected, whichever port they came to: the limits
// that the ports of a process share.
//
// When there is no room for another one, the connection that has been idle for
// longest goes, and some more of that kind, since another one will come. Where
// none is idle, one whose client has been hesitating goes: in a handshake or a
// head that takes its time. Where there is none of these either, the new one has
// to wait. What is answered is never touched.
type Crowd struct {
	limits CrowdLimits
	desks  chan struct{} // taken by handshakes that are computed
	size   atomic.Int64
	sent   atomic.Uint64 // away, to make room
	turned atomic.Uint64 // away: their address had too many

	scarce atomic.Int64 // until when descriptors are, in ns of Unix time
	fewer  atomic.Int64 // connections that may be open until then

	mu      sync.Mutex // one makes room at a time
	places  []place
	clients sync.Mutex // guards count
	count   map[netip.Addr]int
}

// place has some of a Crowd's connections.
type place interface {
	// eachIdle calls f with those that may go: with each that is idle or, in its
	// place, has been hesitating.
	eachIdle(f func(guest))
}

// guest is a connection that may go.
type guest struct {
	since      int64 // in ns of Unix time
	hesitating bool  // rather than idle
	shared     bool  // its socket is, so that its end frees no descriptor
	dismiss    func() bool
}

const (
	// batch is the part of a crowd that makes room at a time.
	batch = 64
	// hesitation is how long a handshake or a head may take, where there is no
	// room for others.
	hesitation = time.Second
	// debut is how long a new client has for the first bytes of its first request,
	// before it has to make room: otherwise those who come would send each other
	// away, where all the others are being served.
	debut = 250 * time.Millisecond

	// spare is how many descriptors more than one are freed where there was none,
	// for commands and for whatever else needs one, and scarcity is how long they
	// are kept so.
	spare    = 8
	scarcity = time.Minute
)

// NewCrowd makes a Crowd of nobody.
func NewCrowd(limits CrowdLimits) *Crowd {
	return &Crowd{
		limits: limits,
		desks:  make(chan struct{}, cmp.Or(limits.Handshakes, runtime.GOMAXPROCS(0))),
		count:  make(map[netip.Addr]int),
	}
}

func (c *Crowd) add(p place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places = append(c.places, p)
}

// Open returns how many connections there are.
func (c *Crowd) Open() int { return int(c.size.Load()) }

// Full reports whether a new client would have to wait until another goes.
func (c *Crowd) Full() bool {
	most := c.most()
	return most > 0 && c.size.Load() >= most
}

// Dismissed returns how many connections had to make room so far.
func (c *Crowd) Dismissed() uint64 { return c.sent.Load() }

// Refused returns how many connections were too many of one client so far.
func (c *Crowd) Refused() uint64 { return c.turned.Load() }

// enter counts a connection in, if there is room for it or room can be made.
func (c *Crowd) enter() bool {
	if c.Full() && !c.makeRoom(false) {
		return false
	}
	c.size.Add(1)
	return true
}

// most is how many connections may be open now; 0: any number.
func (c *Crowd) most() int64 {
	most := int64(c.limits.Connections)
	if until := c.scarce.Load(); until > 0 && time.Now().UnixNano() < until {
		return max(c.fewer.Load(), 1)
	}
	return most
}

func (c *Crowd) leave() { c.size.Add(-1) }

// FreeDescriptor closes connections that nobody is served on, where the process
// may not open another file. It reports whether there were any.
func (c *Crowd) FreeDescriptor() bool {
	made := c.makeRoom(true)
	if made {
		c.fewer.Store(c.size.Load())
		c.scarce.Store(time.Now().Add(scarcity).UnixNano())
	}
	return made
}

func (c *Crowd) makeRoom(descriptor bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone, enough := 0, 1+c.Open()/batch
	if descriptor {
		enough += spare
	}
	for _, g := range c.guests(descriptor) {
		if gone == enough || gone > 0 && g.hesitating {
			break
		}
		if g.dismiss() {
			gone++
		}
	}
	c.sent.Add(uint64(gone))
	return gone > 0
}

// guests returns who may go, the first to go first.
func (c *Crowd) guests(descriptor bool) (guests []guest) {
	for _, p := range c.places {
		p.eachIdle(func(g guest) {
			if !descriptor || !g.shared {
				guests = append(guests, g)
			}
		})
	}
	slices.SortFunc(guests, func(a, b guest) int {
		switch {
		case a.hesitating == b.hesitating:
			return cmp.Compare(a.since, b.since)
		case a.hesitating:
			return 1
		}
		return -1
	})
	return guests
}

// join counts a connection of a client, unless it is one too many.
func (c *Crowd) join(client netip.Addr) bool {
	if c.limits.PerClient == 0 {
		return true
	}
	c.clients.Lock()
	defer c.clients.Unlock()
	if client = network(client); c.count[client] >= c.limits.PerClient {
		c.turned.Add(1)
		return false
	}
	c.count[client]++
	return true
}

// part is the end of a connection that has joined.
func (c *Crowd) part(client netip.Addr) {
	if c.limits.PerClient == 0 {
		return
	}
	c.clients.Lock()
	defer c.clients.Unlock()
	client = network(client)
	if c.count[client]--; c.count[client] <= 0 {
		delete(c.count, client)
	}
}

// network is what one client has for itself: with IPv6, 64 bits of addresses.
func network(client netip.Addr) netip.Addr {
	if client.Is6() && !client.Is4In6() {
		if prefix, err := client.Prefix(64); err == nil {
			return prefix.Addr()
		}
	}
	return client
}

// desk is one handshake's right to be computed, which it has while it does not
// wait for its client.
type desk struct {
	crowd  *Crowd
	by     time.Time // when the handshake has to be made
	taken  bool
	inLine bool // it is a handshake still
}

// take waits for a desk. It returns false if that took too long.
func (d *desk) take() bool {
	if !d.inLine || d.taken {
		return true
	}
	d.taken = true
	select {
	case d.crowd.desks <- struct{}{}:
		return true
	default:
	}
	d.crowd.desks <- struct{}{}
	return time.Now().Before(d.by)
}

func (d *desk) leave() {
	if d.taken {
		d.taken = false
		<-d.crowd.desks
	}
}
