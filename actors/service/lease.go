package service

// Finish is the request's goodbye: it is over, or was never sent. It must be
// called exactly once, and the lease is not touched afterwards.
func (l *Lease) Finish() { l.pool.service.Tell(Finish{l}) }

// Answered notes that the target has answered: what Finish will tell of it.
func (l *Lease) Answered() { l.answered = true }

// Failed notes that the request failed, by its target's fault, and how.
func (l *Lease) Failed(why string) { l.failure = why }

// Again asks where a request goes whose target has failed, instead of Finish:
// a Forward verdict has a lease in the place of this one. After any other the
// failure is the request's answer, and this lease is still to be finished. r has
// the request's facts as it had the first time. unsent: the target cannot have
// read any of it.
func (l *Lease) Again(r *Route, why string, unsent bool) {
	r.failed, r.failure, r.unsent = l, why, unsent
	r.Forward(l.pool.service)
}

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
