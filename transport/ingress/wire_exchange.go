package ingress

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
	"kamal-proxy/transport/socket"
)

// wireExchange is an exchange on http1: HTTP/1.1 or HTTP/1.0. It is pooled, with
// all that a request needs; a connection has one while it is busy. The Handler
// gets it as a ticket.
type wireExchange struct {
	conn     *conn
	presence presence
	reader   *http1.Reader
	writer   *http1.Writer
	request  exchange.Request
	upload   upload
	tickets  []ticket // not used yet

	head    http1.ResponseHead
	added   exchange.Header // room for a header with fields of ours
	status  int             // of the final response; 0: none yet
	sent    int64           // bytes of its body
	old     bool            // the client speaks HTTP/1.0
	keep    bool            // the connection is kept: the client was told so
	trailed bool            // the body has ended, with its trailers
	tunnel  *tunnel

	interim sync.Mutex // orders what goes out before the final head
	expects bool       // 100 Continue is still to be sent
}

// maxPooled is the longest header whose list is kept.
const maxPooled = 256

var wireExchanges = sync.Pool{New: func() any {
	x := &wireExchange{reader: http1.NewReader(nil, http1.Limits{}), writer: http1.NewWriter(nil)}
	x.request.Header = make(exchange.Header, 0, 32)
	return x
}}

func takeWireExchange(c *conn) *wireExchange {
	x := wireExchanges.Get().(*wireExchange)
	x.conn = c
	x.reader.Reset(c)
	x.reader.Limit(c.server.limits)
	x.writer.Reset(c.stream)
	return x
}

// give puts x back, unless its client has left: some may still ask for that.
func (x *wireExchange) give() {
	x.conn, x.tunnel = nil, nil
	x.reader.Reset(nil)
	x.writer.Reset(nil)
	if x.presence.gone || cap(x.request.Header) > maxPooled || cap(x.added) > maxPooled {
		return
	}
	clear(x.request.Header)
	clear(x.added)
	wireExchanges.Put(x)
}

// receive reads a request's head.
func (x *wireExchange) receive() error {
	c, r := x.conn, &x.request
	if err := x.reader.ReadRequest(r); err != nil {
		return err
	}
	x.old = r.Proto == "HTTP/1.0"
	r.Scheme, r.Client, r.Port = c.peer.scheme, c.peer.client, c.peer.port
	r.Upgrade = protocolOf(r)
	x.expects = x.reader.ExpectsContinue() && !x.reader.Body().Done()
	x.status, x.sent, x.keep, x.trailed = 0, 0, false, false
	return nil
}

// serve has the Handler answer the request.
func (x *wireExchange) serve() {
	t := x.ticket()
	x.upload.begin(x.reader.Body())
	x.request.Body = (*uploadTicket)(t)
	x.conn.current.Store(x)
	if !x.conn.asked.Load() {
		x.conn.asked.Store(true)
	}
	x.conn.server.handler(t)
	x.conn.current.Store(nil)
}

// fate is what becomes of a connection after an exchange.
type fate int

const (
	kept      fate = iota
	ended          // it is to be closed
	lingering      // it is to be closed with care: see linger
)

// finish ends the response, or breaks it off.
func (x *wireExchange) finish() fate {
	present := x.presence.end()
	switch {
	case x.tunnel != nil:
		x.tunnel.Close()
		return ended
	case !present || !x.whole() || !x.trailed && x.writer.End(nil) != nil:
		x.breakOff()
		return ended
	case x.keep && x.upload.skip():
		return kept
	case x.upload.ended && !x.reader.KeepAlive() && len(x.reader.Buffered()) == 0:
		return ended // as the client expects, and it has nothing more to say
	}
	x.reader.Discard(len(x.reader.Buffered()))
	return lingering
}

// pipelined reports whether some of the next request has come. An empty line
// behind a body is none of it: there are clients that send one (RFC 9112,
// section 2.2).
func (x *wireExchange) pipelined() bool {
	if string(x.reader.Buffered()) == "\r\n" {
		x.reader.Discard(2)
	}
	return len(x.reader.Buffered()) > 0
}

// whole reports whether all of the response was written.
func (x *wireExchange) whole() bool {
	return x.status != 0 && (x.head.Length < 0 || x.bodyless() || x.sent == x.head.Length)
}

func (x *wireExchange) bodyless() bool {
	return x.head.NoBody || x.status == http.StatusNoContent || x.status == http.StatusNotModified
}

// breakOff lets the client tell that the response is not whole.
func (x *wireExchange) breakOff() {
	if x.old {
		x.conn.reset() // to HTTP/1.0 the end of the connection is that of the body
	} else {
		x.conn.hangUp()
	}
}

// Request implements exchange.Exchange, as do all that follow.
func (x *wireExchange) Request() *exchange.Request { return &x.request }

func (x *wireExchange) Inform(status int, header exchange.Header) error {
	switch {
	case x.status != 0:
		return errHeadSent
	case status < 100 || status > 199 || status == http.StatusSwitchingProtocols:
		return fmt.Errorf("status %d is not an interim one", status)
	case x.old:
		return nil
	}
	x.interim.Lock()
	defer x.interim.Unlock()
	if status == http.StatusContinue {
		if !x.expects {
			return x.broken()
		}
		x.expects = false
	}
	if err := x.writer.WriteResponse(&http1.ResponseHead{Status: status, Header: header}); err != nil {
		return err
	}
	return x.writer.Flush()
}

func (x *wireExchange) Respond(status int, header exchange.Header, length int64) error {
	if x.status != 0 {
		return errHeadSent
	}
	if status < 200 || status > 999 {
		return fmt.Errorf("status %d is not a final one", status)
	}
	if err := x.broken(); err != nil {
		return err
	}
	x.head = http1.ResponseHead{
		Status: status, Header: x.withOurs(header), Length: length,
		NoBody: x.request.Method == http.MethodHead, ToHTTP10: x.old,
	}
	x.head.KeepAlive = x.head.Delimited() && x.mayKeep(header)
	if !x.head.KeepAlive {
		x.liftLimit()
	}
	err := x.begin()
	x.head.Header = nil
	return err
}

// begin writes the head. From here on there is no 100 Continue.
func (x *wireExchange) begin() error {
	x.interim.Lock()
	defer x.interim.Unlock()
	if err := x.writer.WriteResponse(&x.head); err != nil {
		return fmt.Errorf("the response's head cannot be sent: %w", err)
	}
	x.expects, x.status, x.keep = false, x.head.Status, x.head.KeepAlive
	return nil
}

// mayKeep reports whether the connection can be used again after this response.
// It cannot where the rest of the request's body is still to come: nobody may
// want to wait for it.
func (x *wireExchange) mayKeep(header exchange.Header) bool {
	return x.reader.KeepAlive() && !x.conn.server.draining.Load() &&
		!header.HasToken("Connection", "close") && x.upload.here()
}

// withOurs returns header with a Date (RFC 9110, section 6.6.1), and with the
// way to HTTP/3, where the target has not given them.
func (x *wireExchange) withOurs(header exchange.Header) exchange.Header {
	s := x.conn.server
	dated := header.Has("Date")
	told := s.webHandler.altSvc == nil || header.Has(fieldAltSvc)
	if dated && told {
		return header
	}
	x.added = append(x.added[:0], header...)
	if !dated {
		x.added.Add("Date", s.clock.Date())
	}
	if !told {
		x.added.Add(fieldAltSvc, s.webHandler.altSvc[0])
	}
	return x.added
}

func (x *wireExchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		return 0, errNoHead
	}
	n, err := x.writer.Write(p)
	if !x.bodyless() {
		x.sent += int64(n)
	}
	return n, err
}

var _ exchange.Sink = (*wireExchange)(nil)

// Drains implements exchange.Sink, as does Drain.
func (x *wireExchange) Drains() bool {
	return socket.TCP(x.conn.stream) != nil && (x.status == 0 || !x.bodyless() && x.writer.Drains())
}

func (x *wireExchange) Drain(pipe *socket.Pipe) (int, error) {
	n, err := x.writer.Drain(pipe)
	x.sent += int64(n)
	return n, err
}

func (x *wireExchange) Flush() error {
	if x.status == 0 {
		return errNoHead
	}
	return x.writer.Flush()
}

func (x *wireExchange) Trail(trailer exchange.Header) error {
	if x.status == 0 {
		return errNoHead
	}
	err := x.writer.End(trailer)
	x.trailed = x.trailed || err == nil
	return err
}

// Upgrade voids the strings of the request: a tunnel holds no buffer. It ends
// with its exchange.
func (x *wireExchange) Upgrade(header exchange.Header) (exchange.Tunnel, error) {
	switch {
	case x.status != 0:
		return nil, errHeadSent
	case x.request.Upgrade == "":
		return nil, exchange.ErrNoUpgrade
	}
	protocol := header.Get("Upgrade")
	if protocol == "" {
		protocol = x.request.Upgrade
	}
	head := http1.ResponseHead{Status: http.StatusSwitchingProtocols, Header: header, Upgrade: protocol}
	if err := x.writer.WriteResponse(&head); err != nil {
		return nil, fmt.Errorf("the client cannot be answered with 101: %w", err)
	}
	if err := x.writer.Flush(); err != nil {
		return nil, fmt.Errorf("unable to answer the client with 101: %w", err)
	}
	x.status = http.StatusSwitchingProtocols
	x.presence.believe()
	x.tunnel = newTunnel(x)
	return x.tunnel, nil
}

func (x *wireExchange) Sent() (int, int64) { return x.status, x.sent }

// broken is the error of a response that cannot be sent any more.
func (x *wireExchange) broken() error {
	if x.presence.Err() != nil {
		return errAborted
	}
	return nil
}

// protocolOf returns the protocol that a request asks to switch to. There is
// none for a request that has a body, since the tunnel would begin in its
// middle, and HTTP/2 without TLS is never spoken.
func protocolOf(r *exchange.Request) string {
	if r.ContentLength != 0 {
		return ""
	}
	for protocol, more := "", r.Upgrade; more != ""; {
		protocol, more, _ = strings.Cut(more, ",")
		if protocol = strings.Trim(protocol, " \t"); protocol != "" && !strings.EqualFold(protocol, "h2c") {
			return protocol
		}
	}
	return ""
}
