package proxy

import (
	"errors"

	"kamal-proxy/transport/buffer"
)

// hold waits for the whole of a response's body, where that is to be kept
// before the client gets any of it, so that a target that dies halfway is a
// page and not half a response. It reports whether there is something to relay;
// otherwise the request has been answered.
func (v *visit) hold() bool {
	r, o := v.response, &v.policy.TargetOptions
	v.mode = buffer.ModeOf(r, o.BufferResponses, o.MaxResponseBodySize)
	if v.mode != buffer.Whole {
		return true
	}
	held, err := buffer.HoldFor(v.x, r.Body, r.ContentLength, v.limits(o.MaxResponseBodySize))
	if err != nil {
		v.fail(holdError(err))
		return false
	}
	v.held = held
	v.keepTrailer()
	if len(v.trailer) == 0 {
		r.ContentLength = held.Len()
	}
	return true
}

func holdError(err error) error {
	if err == buffer.ErrTooLarge {
		return errResponseTooLarge
	}
	return err
}

// giveHeld gives the client what is held. The target has nothing to do with it
// any more, however slow the client is.
func (v *visit) giveHeld() error {
	v.part()
	if _, err := v.held.WriteTo(v.x); err != nil {
		return heldError(err)
	}
	return nil
}

// heldError tells the disk's errors from the client's.
func heldError(err error) error {
	var disk *buffer.DiskError
	if errors.As(err, &disk) {
		return err
	}
	return asClientGone(err)
}
