package ingress

import (
	"context"

	"kamal-proxy/transport/exchange"
)

// ticket is one exchange, as its Handler sees it. What may come from another
// goroutine, and so too late, meets none but its own exchange, although
// wireExchanges are used again and again: only the ticket is made anew.
type ticket struct {
	*wireExchange
	number uint64
}

var _ exchange.Exchange = (*ticket)(nil)

// Tickets are made so many at a time.
const ticketRoll = 32

func (x *wireExchange) ticket() *ticket {
	if len(x.tickets) == 0 {
		x.tickets = make([]ticket, ticketRoll)
	}
	t := &x.tickets[0]
	x.tickets = x.tickets[1:]
	pipelined := x.reader.Body().Done() && len(x.reader.Buffered()) > 0
	t.wireExchange, t.number = x, x.presence.begin(x.conn, pipelined)
	return t
}

// Context implements exchange.Exchange, as does Abort. See presence for what
// may be done with it.
func (t *ticket) Context() context.Context { return &t.presence }

func (t *ticket) Abort() {
	if t.presence.leave(t.number) != nil {
		t.breakOff()
	}
}
