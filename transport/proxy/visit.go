package proxy

import (
	"net/http"
	"sync"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/transport/accesslog"
	"kamal-proxy/transport/buffer"
	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/exchange"
)

// visit is one request on its way through the proxy.
type visit struct {
	proxy   *Proxy
	x       exchange.Exchange
	request *exchange.Request

	// cutoff is the request's context; the service may cut it.
	cutoff *cutoff

	verdict  service.Verdict
	policy   *service.Policy // never nil
	stranger bool            // who sent it is none of the trusted proxies
	counted  bool            // by Metrics
	tunnel   bool            // the exchange was handed over
	panicked bool            // its connection is not to be used again
	outcome  int             // the status to log where it is not the one sent
	blamed   bool            // the service knows of the target's last failure

	// Of the target's part: what part gives back.
	response  *exchange.Response
	collected *buffer.Body // the request's body; nil: it is not buffered

	mode    buffer.Mode     // of the response
	held    *buffer.Body    // its body, in mode Whole
	trailer exchange.Header // of it

	entry accesslog.Entry
	notes []byte // the room of kept

	// The methods, bound once.
	inform func(int, exchange.Header) error
	ended  func(error)
}

var visits = sync.Pool{New: func() any {
	v := new(visit)
	v.inform, v.ended = v.interim, v.bodyEnded
	return v
}}

var noPolicy service.Policy

// receive begins a visit, and notes of the request what the stages change.
func (p *Proxy) receive(x exchange.Exchange) *visit {
	v := visits.Get().(*visit)
	v.proxy, v.x, v.request, v.policy = p, x, x.Request(), &noPolicy
	v.cutoff = &cutoff{client: x.Context()}
	v.note()
	return v
}

// part ends the target's part in the request, as soon as it is done: it takes
// other requests then, and a drain waits for it no longer. It may be called more
// than once.
func (v *visit) part() {
	lease, response, collected := v.verdict.Lease, v.response, v.collected
	v.verdict.Lease, v.response, v.collected = nil, nil, nil
	v.cutoff.spend()
	if lease != nil {
		defer v.proxy.finish(lease)
	}
	if collected != nil {
		request := v.request
		defer func() { // after the response: until then it may be read
			request.Body = http.NoBody
			collected.Close()
		}()
	}
	if response != nil {
		response.Close()
	}
}

// end says goodbye, whatever has happened.
func (v *visit) end() {
	defer v.giveBack()
	defer v.report()
	defer v.cutoff.close()
	defer v.held.Close()
	v.part()
}

func (v *visit) giveBack() {
	headers := v.entry.Headers
	clear(headers)
	*v = visit{inform: v.inform, ended: v.ended, notes: v.notes[:0], entry: accesslog.Entry{Headers: headers[:0]}}
	visits.Put(v)
}

// report tells the metrics and the access log how it went.
func (v *visit) report() {
	e := &v.entry
	e.Duration = time.Since(e.Started)
	switch {
	case v.tunnel:
		e.Status = http.StatusSwitchingProtocols
	default:
		e.Status, e.RespContentLength = v.x.Sent()
	}
	if v.outcome != 0 {
		e.Status = v.outcome
	}
	if v.counted {
		v.proxy.config.Metrics.End(e.Service, e.Method, e.Status, e.Duration)
	}
	v.proxy.config.Log.Log(e)
}

// rescue answers a request whose handling panicked.
func (v *visit) rescue() {
	cause := recover()
	if cause == nil {
		return
	}
	crash.Caught(v.proxy.config.Logger, cause).
		Str("request_id", v.entry.RequestID).Str("service", v.entry.Service).Msg("Request panicked")
	v.panicked = true
	defer func() {
		if cause := recover(); cause != nil {
			crash.Caught(v.proxy.config.Logger, cause).
				Str("request_id", v.entry.RequestID).Msg("The answer to a request that panicked has panicked, too")
			v.x.Abort()
		}
	}()
	v.giveUp(http.StatusInternalServerError)
}
