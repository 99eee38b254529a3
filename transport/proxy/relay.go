package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"kamal-proxy/transport/exchange"
)

// relay passes a target's response on to the client.
func (v *visit) relay(response *exchange.Response) {
	defer response.Close()
	if response.Status == http.StatusSwitchingProtocols {
		v.upgrade(response)
		return
	}
	response.Header = endToEnd(response.Header, response.ContentLength < 0)
	v.keepToWriter(&response.Header)
	v.scopeCookies(response.Header)
	v.noteSent(response.Header)

	err := asClientGone(v.x.Respond(response.Status, response.Header, v.length(response)))
	if err == nil && response.ContentLength != 0 {
		err = v.relayBody(response)
	}
	if err != nil {
		v.fail(err)
	}
}

// length returns that of the response's body, as the client is told. Where
// there is none by the rules (HEAD, 304) only a Content-Length tells.
func (v *visit) length(response *exchange.Response) int64 {
	if v.request.Method == http.MethodHead || response.Status == http.StatusNotModified {
		return -1
	}
	return response.ContentLength
}

func (v *visit) relayBody(response *exchange.Response) error {
	if err := v.copy(response.Body, live(response)); err != nil {
		return err
	}
	if response.Trailer == nil {
		return nil
	}
	if trailer := lawfulTrailer(response.Trailer()); len(trailer) > 0 {
		return asClientGone(v.x.Trail(trailer))
	}
	return nil
}

// live reports whether a response is to reach the client as it comes, because
// nobody can know when more of it will.
func live(response *exchange.Response) bool {
	return response.ContentLength < 0 ||
		strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream")
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// readier is a body that knows whether its next Read would not wait.
type readier interface{ Ready() bool }

// copy passes a body on. What is live is flushed, its head too, before a wait
// for more of it; for any other body the ingress knows best.
func (v *visit) copy(body io.Reader, live bool) error {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	ready, _ := body.(readier)
	for held := live; ; {
		if held && (ready == nil || !ready.Ready()) {
			if err := v.x.Flush(); err != nil {
				return asClientGone(err)
			}
			held = false
		}
		n, err := body.Read(buffer[:])
		if n > 0 {
			if _, err := v.x.Write(buffer[:n]); err != nil {
				return asClientGone(err)
			}
			held = live
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func asClientGone(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(errClientGone, err)
}
