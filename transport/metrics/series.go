package metrics

import (
	"hash/maphash"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Label sets are resolved once. What they resolve to is found in maps that are
// never changed but replaced, so that finding takes no lock.

// services are the known services, spread over maps that stay small, so that
// replacing one stays cheap with very many of them.
type services struct {
	mu     sync.Mutex // held to change
	shards [64]atomic.Pointer[map[string]*service]
}

// service is one service's series.
type service struct {
	name      string
	inFlight  prometheus.Gauge
	retries   prometheus.Counter
	ejections prometheus.Counter

	mu       sync.Mutex // held to change
	outcomes atomic.Pointer[map[kind]*outcome]
	gone     bool // forgotten: adds no series any more
}

// kind is a method and a status.
type kind struct {
	method methodLabel
	status int
}

// outcome is where requests of one kind are counted.
type outcome struct {
	requests  prometheus.Counter
	durations prometheus.Observer
}

var seed = maphash.MakeSeed()

func (s *services) shard(name string) *atomic.Pointer[map[string]*service] {
	return &s.shards[maphash.String(seed, name)%uint64(len(s.shards))]
}

// find returns nil for an unknown service.
func (s *services) find(name string) *service {
	if known := s.shard(name).Load(); known != nil {
		return (*known)[name]
	}
	return nil
}

// service returns the service of that name, known or new.
func (m *Metrics) service(name string) *service {
	if s := m.services.find(name); s != nil {
		return s
	}
	m.services.mu.Lock()
	defer m.services.mu.Unlock()
	if s := m.services.find(name); s != nil {
		return s
	}
	s := &service{
		name:      name,
		inFlight:  m.inFlight.WithLabelValues(label(name)),
		retries:   m.retries.WithLabelValues(label(name)),
		ejections: m.ejections.WithLabelValues(label(name)),
	}
	put(m.services.shard(name), name, s)
	return s
}

// outcome returns where requests of one kind are counted.
func (m *Metrics) outcome(s *service, k kind) *outcome {
	if known := s.outcomes.Load(); known != nil {
		if o := (*known)[k]; o != nil {
			return o
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.outcomes.Load(); known != nil && (*known)[k] != nil {
		return (*known)[k]
	}
	if s.gone {
		return discard
	}
	labels := k.labels(s.name)
	o := &outcome{m.requests.WithLabelValues(labels...), m.durations.WithLabelValues(labels...)}
	put(&s.outcomes, k, o)
	return o
}

// put replaces a map by one that has the new entry, too.
func put[K comparable, V any](place *atomic.Pointer[map[K]V], key K, value V) {
	next := make(map[K]V)
	if known := place.Load(); known != nil {
		maps.Copy(next, *known)
	}
	next[key] = value
	place.Store(&next)
}

// Forget drops the series of a service that was removed, once its requests have
// ended: the End of one that has not is not counted.
func (m *Metrics) Forget(name string) {
	m.services.mu.Lock()
	defer m.services.mu.Unlock()
	s := m.services.find(name)
	if s == nil {
		return
	}
	shard := m.services.shard(name)
	next := maps.Clone(*shard.Load())
	delete(next, name)
	shard.Store(&next)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	m.inFlight.DeleteLabelValues(label(name))
	m.retries.DeleteLabelValues(label(name))
	m.ejections.DeleteLabelValues(label(name))
	if known := s.outcomes.Load(); known != nil {
		for k := range *known {
			labels := k.labels(name)
			m.requests.DeleteLabelValues(labels...)
			m.durations.DeleteLabelValues(labels...)
		}
	}
}

// discard takes what is counted for a service that was just forgotten.
var discard = &outcome{
	prometheus.NewCounter(prometheus.CounterOpts{Name: "discarded"}),
	prometheus.NewHistogram(prometheus.HistogramOpts{Name: "discarded_seconds"}),
}

func kindOf(method string, status int) kind { return kind{methodOf(method), status} }

func (k kind) labels(service string) []string {
	return []string{label(service), string(k.method), strconv.Itoa(k.status)}
}

// methodLabel is one of few values, whatever clients send.
type methodLabel string

// methodLabels outlive the requests that they are compared with: a request's
// own method may be a view of a buffer that the next request overwrites.
var methodLabels = [...]methodLabel{
	http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodOptions, http.MethodTrace, http.MethodConnect,
}

func methodOf(method string) methodLabel {
	for _, known := range methodLabels {
		if string(known) == method {
			return known
		}
	}
	return "OTHER"
}

// label makes a service's name fit for a label, which must be UTF-8.
func label(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
