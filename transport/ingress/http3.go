package ingress

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kamal-proxy/transport/crash"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/rs/zerolog"

	"kamal-proxy/transport/quicport"
)

// What one connection of HTTP/3 may take. The windows bound what it can make us
// hold of bodies that nobody reads.
const (
	http3Streams      = 250 // requests at a time
	http3UniStreams   = 8   // a client needs three
	http3StreamWindow = 2 << 20
	http3Window       = 4 << 20

	http3Silence = 60 * time.Second // without a packet, a client has vanished
	http3Ping    = 20 * time.Second // so one that waits for an answer is asked for a packet
)

// mostHTTP3Idle is shorter than for TCP: no load balancer is in front of us,
// and a client is kept awake by our pings.
const mostHTTP3Idle = 2 * time.Minute

// HTTP3 serves HTTP/3 on a UDP port, on quic-go. Its requests become exchanges
// in the way of HTTP/2's; nothing is accepted before the handshake is complete
// (no 0-RTT), and nothing is upgraded.
type HTTP3 struct {
	log        zerolog.Logger
	tls        *tls.Config
	quic       *quic.Config
	complaints *complaints
	crowd      *Crowd
	sessions   *sessions
	desk       desk3
	server     http3.Server
	rush       rush

	open      context.Context // ends when nobody is let in any more
	leave     context.CancelFunc
	retiring  sync.Once
	retired   atomic.Bool
	departing sync.Once
	whole     context.Context // ends when what is left is cut off
	cut       context.CancelFunc
	gone      chan struct{} // closed when all connections are
	ended     chan struct{} // closed at the end of Shutdown
	mu        sync.Mutex    // orders begin and depart
	serving   sync.WaitGroup
	end       sync.Once
}

// NewHTTP3 makes a server that does not serve yet. config.TLS is that of the
// HTTPS server; what is particular to HTTP/3 is changed in a copy.
func NewHTTP3(config Config) *HTTP3 {
	config = config.orDefault()
	h := &HTTP3{
		log:        config.Log,
		complaints: &complaints{log: config.Log},
		sessions:   newSessions(min(config.IdleTimeout, mostHTTP3Idle)),
		crowd:      config.Crowd,
		gone:       make(chan struct{}),
		ended:      make(chan struct{}),
	}
	h.open, h.leave = context.WithCancel(context.Background())
	h.whole, h.cut = context.WithCancel(context.Background())
	h.tls = h.http3TLS(config.TLS)
	h.quic = &quic.Config{
		HandshakeIdleTimeout:       config.HeadTimeout,
		MaxIdleTimeout:             http3Silence,
		KeepAlivePeriod:            http3Ping,
		MaxStreamReceiveWindow:     http3StreamWindow,
		MaxConnectionReceiveWindow: http3Window,
		MaxIncomingStreams:         http3Streams,
		MaxIncomingUniStreams:      http3UniStreams,
	}
	h.desk = desk3{
		web:         webHandler{handler: config.Handler, log: config.Log},
		headTimeout: config.HeadTimeout,
		bodyStall:   config.BodyStall,
	}
	h.server = http3.Server{
		Handler:        &h.desk,
		MaxHeaderBytes: config.MaxHeaderBytes,
		ConnContext:    h.sessions.begin,
	}
	h.crowd.add(h.sessions)
	return h
}

// http3TLS is the policy of HTTPS, for QUIC.
func (h *HTTP3) http3TLS(policy *tls.Config) *tls.Config {
	config := http3.ConfigureTLSConfig(policy)
	config.MinVersion = tls.VersionTLS13 // RFC 9001, section 4.2
	if source := policy.GetCertificate; source != nil {
		config.GetCertificate = func(hello *tls.ClientHelloInfo) (certificate *tls.Certificate, err error) {
			err = crash.ErrPanicked // crypto/tls has a goroutine of its own for this
			crash.Run("Handshake panicked", func() { certificate, err = source(hello) })
			if err != nil {
				h.complaints.handshake(hello.Conn.RemoteAddr().String(), err)
			}
			return certificate, err
		}
	}
	return config
}

// Serve serves one port until Shutdown has ended, and closes it. It returns nil
// after Shutdown.
func (h *HTTP3) Serve(port *quicport.Port) error {
	defer port.Close()
	if !h.begin() {
		return nil
	}
	transport := port.Transport()
	transport.VerifySourceAddress = h.rush.on
	defer transport.Close()
	if err := h.admit(transport); h.open.Err() == nil {
		return fmt.Errorf("unable to serve HTTP/3 on UDP port %d: %w", udpPort(port.LocalAddr()), err)
	}
	<-h.ended
	return nil
}

func (h *HTTP3) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open.Err() != nil {
		return false
	}
	h.serving.Add(1)
	return true
}

// admit takes in connections until Shutdown begins.
func (h *HTTP3) admit(transport *quic.Transport) error {
	listener, err := h.listen(transport)
	if err != nil {
		h.serving.Done()
		return err
	}
	defer listener.Close() // which waits for handshakes, as Shutdown need not
	defer h.serving.Done()
	return h.server.ServeListener(&door3{listener, h})
}

// listen is transport.Listen, but for what quic-go tells package log of the
// socket's buffers: it cannot often be helped, and rarely matters.
func (h *HTTP3) listen(transport *quic.Transport) (*quic.Listener, error) {
	defer slog.SetLogLoggerLevel(slog.SetLogLoggerLevel(slog.LevelDebug))
	return transport.Listen(h.tls, h.quic)
}

// door3 is the listener that quic-go's server sees. It lets nobody in once
// Shutdown has begun: the server counts connections when they are in, and must
// not count one more while it waits for the last one to end.
type door3 struct {
	*quic.Listener
	*HTTP3
}

// Accept implements http3.QUICListener.
func (d *door3) Accept(context.Context) (*quic.Conn, error) {
	for {
		conn, err := d.Listener.Accept(d.open)
		switch {
		case err != nil && d.open.Err() != nil:
			return nil, quic.ErrServerClosed
		case err != nil:
			return nil, err
		case d.letIn(conn):
			return conn, nil
		}
		d.log.Debug().Str("client", conn.RemoteAddr().String()).Msg("HTTP/3 connection closed, there are too many")
		conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "")
	}
}

// letIn counts a connection in, until it ends, if there is room for it.
func (h *HTTP3) letIn(conn *quic.Conn) bool {
	client := addrPort(conn.RemoteAddr()).Addr()
	if !h.crowd.join(client) {
		return false
	}
	if !h.awaitRoom(conn.Context()) {
		h.crowd.part(client)
		return false
	}
	context.AfterFunc(conn.Context(), func() {
		h.crowd.leave()
		h.crowd.part(client)
	})
	return true
}

// welcome is how long a new connection waits for room before it is turned away: a
// little longer than those wait that could make it (see session.mayGo). Browsers
// then try HTTP/2.
const welcome = farewell + 100*time.Millisecond

// awaitRoom counts a connection in, when there is room for it. Those behind it
// wait, too.
func (h *HTTP3) awaitRoom(conn context.Context) bool {
	until := time.Now().Add(welcome)
	for !h.crowd.enter() {
		if time.Now().After(until) || conn.Err() != nil || h.open.Err() != nil {
			return false
		}
		time.Sleep(roomPause)
	}
	return true
}

// rush tells when so many handshakes begin that clients must first prove their
// addresses (RFC 9000, section 8.1.2), which costs them a round trip.
type rush struct {
	second atomic.Int64
	begun  atomic.Int64
}

// rushBegins is the number of handshakes a second.
const rushBegins = 200

// on is quic.Transport.VerifySourceAddress.
func (r *rush) on(net.Addr) bool {
	if now := time.Now().Unix(); r.second.Swap(now) != now {
		r.begun.Store(0)
	}
	return r.begun.Add(1) > rushBegins
}

const fieldAltSvc = "Alt-Svc"

// altSvc is the value of Alt-Svc (RFC 7838) that leads to HTTP/3 on a port of
// the same host, for 30 days; port 0: nil.
func altSvc(port int) []string {
	if port == 0 {
		return nil
	}
	return []string{`h3=":` + strconv.Itoa(port) + `"; ma=2592000`}
}

func udpPort(addr net.Addr) int {
	if udp, ok := addr.(*net.UDPAddr); ok {
		return udp.Port
	}
	return 0
}
