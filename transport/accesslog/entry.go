package accesslog

import (
	"time"

	"kamal-proxy/transport/exchange"
)

// Entry is what one line of the access log says. Its strings need to hold only
// until Logger.Log returns.
type Entry struct {
	Started           time.Time
	Duration          time.Duration
	Host              string // as it came, without its port
	Port              int    // ours
	Path              string // decoded, before stripping
	RequestID         string
	Status            int // 499: the client left before there was one
	Service           string
	Target            string
	Method            string
	ReqContentLength  int64 // -1: chunked
	ReqContentType    string
	RespContentLength int64 // bytes of the body that were sent
	RespContentType   string
	ClientAddr        string
	ClientPort        string
	RemoteAddr        string // the incoming X-Forwarded-For, else ClientAddr
	UserAgent         string
	Proto             string
	Scheme            string
	Query             string
	Retries           int // targets that were asked before Target; not logged if 0
	// Configured headers: Name is the log key ("req_cache_control"), Value the
	// values joined by ",".
	Headers []exchange.Field
}
