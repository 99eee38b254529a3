package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"kamal-proxy/transport/buffer"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/socket"
)

// relay passes a target's response on to the client.
func (v *visit) relay() {
	response := v.response
	if response.Status == http.StatusSwitchingProtocols {
		v.upgrade(response)
		return
	}
	response.Header = endToEnd(response.Header, response.ContentLength < 0)
	v.keepToWriter(&response.Header)
	v.keepToTarget(&response.Header)
	v.scopeCookies(response.Header)
	v.noteSent(response.Header)

	err := asClientGone(v.x.Respond(response.Status, response.Header, v.length(response)))
	if err == nil && response.ContentLength != 0 {
		err = v.relayBody(response)
	}
	if err != nil {
		v.fail(err)
	}
	v.part()
}

// length returns that of the response's body, as the client is told. Where
// there is none by the rules (HEAD, 304) only a Content-Length tells.
func (v *visit) length(response *exchange.Response) int64 {
	if v.request.Method == http.MethodHead || response.Status == http.StatusNotModified {
		return -1
	}
	return response.ContentLength
}

// relayBody passes on the body, in its mode, and the trailers.
func (v *visit) relayBody(response *exchange.Response) error {
	var err error
	switch v.mode {
	case buffer.Whole:
		err = v.giveHeld()
	case buffer.Streamed:
		err = v.stream()
	default:
		err = v.copy(response.Body, live(response))
	}
	if err == nil && len(v.trailer) > 0 {
		err = asClientGone(v.x.Trail(v.trailer))
	}
	return err
}

// expose lets a cut break the response off from now on, though a write may be
// waiting for the client. Its error is that of a cut before.
func (v *visit) expose() error {
	return v.cutoff.writing(v.x)
}

// bodyEnded is called once a response's body has come to its end, or has failed.
// The client may still be taking it, but the target is free.
func (v *visit) bodyEnded(err error) {
	if err == nil {
		v.keepTrailer()
	} else {
		v.blame(err)
	}
	v.part()
}

// keepTrailer notes the trailers of a response whose body was read: they hold
// only until it is closed.
func (v *visit) keepTrailer() {
	if v.response.Trailer == nil {
		return
	}
	v.trailer = lawfulTrailer(v.response.Trailer())
	for i, f := range v.trailer {
		v.trailer[i] = exchange.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value)}
	}
}

// live reports whether a response is to reach the client as it comes, because
// nobody can know when more of it will.
func live(response *exchange.Response) bool {
	return response.ContentLength < 0 ||
		strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream")
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// readier is a body that knows whether its next Read would not wait, or waits
// for that.
type readier interface {
	Ready() bool
	Await(time.Duration) bool
}

// moment is how long a part of a body waits for more of it, to go out with it:
// many apps write the head and a short body one after the other.
const moment = 20 * time.Millisecond

// small is the size of a part that the client's connection may hold back; a
// larger one goes out at once.
const small = 16 << 10

// soon reports whether more of a body comes before what there is of it is to go
// out. Nothing waits for what is live.
func soon(body io.Reader, live bool) bool {
	b, ok := body.(readier)
	if !ok {
		return !live
	}
	return b.Ready() || !live && b.Await(moment)
}

// copy passes a body on. It is flushed, its head too, before a wait for more.
func (v *visit) copy(body io.Reader, live bool) error {
	if err := v.expose(); err != nil {
		return err
	}
	part := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(part)
	for held := true; ; {
		if err := v.splice(body); err != nil {
			return asClientGone(err)
		}
		if held && !soon(body, live) {
			if err := v.x.Flush(); err != nil {
				return asClientGone(err)
			}
			held = false
		}
		n, err := body.Read(part[:])
		if err == io.EOF {
			v.bodyEnded(nil)
		}
		if n > 0 {
			if _, err := v.x.Write(part[:n]); err != nil {
				return asClientGone(err)
			}
			held = live || n < small
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// splice moves a long body from connection to connection within the kernel, as
// far as that is possible. Its error is the client's.
func (v *visit) splice(body io.Reader) error {
	source, ok := body.(exchange.Source)
	sink, ok2 := v.x.(exchange.Sink)
	if !ok || !ok2 || v.response.ContentLength < exchange.WorthAPipe || !sink.Drains() {
		return nil
	}
	pipe := socket.NewPipe()
	if pipe == nil {
		return nil
	}
	defer pipe.Close()
	for least := int64(exchange.WorthAPipe); source.Fill(pipe, least) > 0; least = 1 {
		if _, err := sink.Drain(pipe); err != nil {
			return err
		}
	}
	return nil
}

func asClientGone(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(errClientGone, err)
}
