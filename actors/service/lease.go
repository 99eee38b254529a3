package service

// Finish is the request's goodbye: it is over, or was never sent. It must be
// called exactly once, and the lease is not touched afterwards.
func (l *Lease) Finish() { l.pool.service.Tell(Finish{l}) }

// Upgraded says that the request has become a tunnel: from now on it is cut
// off when its target takes no new requests any more, and not only when the
// drain's time is up.
func (l *Lease) Upgraded() { l.pool.service.Tell(Upgraded{l}) }
