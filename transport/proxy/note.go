package proxy

import (
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"kamal-proxy/transport/exchange"
)

// note writes down what the access log says of the request, before any stage
// changes it.
func (v *visit) note() {
	r, e := v.request, &v.entry
	e.Started = time.Now()
	e.Host = hostOnly(r.Authority)
	e.Port = r.Port
	e.Path = decoded(r.Path)
	e.Method = r.Method
	e.ReqContentLength = r.ContentLength
	e.ReqContentType = r.Header.Get("Content-Type")
	e.ClientAddr, e.ClientPort = v.addressAndPort(r.Client)
	e.RemoteAddr = v.remote()
	e.UserAgent = r.Header.Get("User-Agent")
	e.Proto = r.Proto
	e.Scheme = r.Scheme
	e.Query = r.Query
}

// noteWanted adds what the service wants to have logged of the request.
func (v *visit) noteWanted() {
	if client := v.namedClient(); client != "" {
		v.entry.RemoteAddr = client
	}
	for _, name := range v.policy.TargetOptions.LogRequestHeaders {
		v.noteField("req_", name, joined(v.request.Header, name, ","))
	}
}

// noteSent writes down what is logged of the response. These are copies: the
// target's buffer is another request's before the line is written.
func (v *visit) noteSent(h exchange.Header) {
	v.entry.RespContentType = v.copied(h.Get("Content-Type"))
	v.entry.Headers = v.entry.Headers[:len(v.policy.TargetOptions.LogRequestHeaders)]
	for _, name := range v.policy.TargetOptions.LogResponseHeaders {
		v.noteField("resp_", name, v.copied(joined(h, name, ",")))
	}
}

func (v *visit) noteField(side, name, value string) {
	v.entry.Headers = append(v.entry.Headers, exchange.Field{Name: v.proxy.keys.of(side, name), Value: value})
}

// kept returns text as a string that holds until the visit's end, in memory that
// the next visit uses again.
func (v *visit) kept(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	start := len(v.notes)
	v.notes = append(v.notes, text...)
	return unsafe.String(&v.notes[start], len(text))
}

func (v *visit) copied(s string) string { return v.kept(unsafe.Slice(unsafe.StringData(s), len(s))) }

// logKeys remembers the log's names of header fields. There are as many as
// deploys have named.
type logKeys struct {
	adding sync.Mutex
	known  atomic.Pointer[map[logKey]string]
}

type logKey struct{ side, field string }

// of returns a field's name in the log: "req_cache_control".
func (k *logKeys) of(side, field string) string {
	if known := k.known.Load(); known != nil {
		if key, ok := (*known)[logKey{side, field}]; ok {
			return key
		}
	}
	return k.add(side, field)
}

func (k *logKeys) add(side, field string) string {
	k.adding.Lock()
	defer k.adding.Unlock()
	all := map[logKey]string{}
	if known := k.known.Load(); known != nil {
		for name, key := range *known {
			all[name] = key
		}
	}
	key := side + strings.ReplaceAll(strings.ToLower(field), "-", "_")
	all[logKey{side, field}] = key
	k.known.Store(&all)
	return key
}

// hostOnly returns an authority without its port, and an IPv6 address without
// its brackets.
func hostOnly(authority string) string {
	if strings.HasPrefix(authority, "[") {
		host, _, _ := strings.Cut(authority[1:], "]")
		return host
	}
	host, _, _ := strings.Cut(authority, ":")
	return host
}

// decoded returns a path in plain text, or as it is if it does not decode.
func decoded(path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

// addressAndPort returns the two in text.
func (v *visit) addressAndPort(client netip.AddrPort) (address, port string) {
	if !client.IsValid() {
		return "", ""
	}
	var room [64]byte
	text := v.kept(netip.AddrPortFrom(client.Addr().Unmap(), client.Port()).AppendTo(room[:0]))
	colon := strings.LastIndexByte(text, ':')
	return strings.Trim(text[:colon], "[]"), text[colon+1:]
}

// keepNotes makes what was written down outlive the connection's buffers: a
// tunnel reads into them.
func (v *visit) keepNotes() {
	e := &v.entry
	for _, text := range []*string{
		&e.Host, &e.Path, &e.RequestID, &e.Method, &e.ReqContentType, &e.RespContentType,
		&e.RemoteAddr, &e.UserAgent, &e.Proto, &e.Scheme, &e.Query,
	} {
		*text = strings.Clone(*text)
	}
	for i := range e.Headers {
		e.Headers[i].Value = strings.Clone(e.Headers[i].Value)
	}
}
