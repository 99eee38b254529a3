package service

// Finish is the request's goodbye: it is over, or was never sent. It must be
// called exactly once, and the lease is not touched afterwards.
func (l *Lease) Finish() { l.pool.service.Tell(Finish{l}) }

// Upgraded says that the request has become a tunnel: from now on it is cut
// off when its target takes no new requests any more, and not only when the
// drain's time is up.
func (l *Lease) Upgraded() { l.pool.service.Tell(Upgraded{l}) }

// leases is an intrusive list: a busy service takes and gives back a million
// of them a second.
type leases struct {
	first *Lease
	count int
}

func (ls *leases) add(l *Lease) {
	l.next = ls.first
	if ls.first != nil {
		ls.first.previous = l
	}
	ls.first = l
	ls.count++
}

func (ls *leases) remove(l *Lease) {
	if l.previous != nil {
		l.previous.next = l.next
	} else {
		ls.first = l.next
	}
	if l.next != nil {
		l.next.previous = l.previous
	}
	l.previous, l.next = nil, nil
	ls.count--
}
