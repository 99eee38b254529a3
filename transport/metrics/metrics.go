// Package metrics counts requests for Prometheus.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the proxy's. All methods may be called by many goroutines at
// once; Begin and End take no lock and allocate nothing, but for a service,
// method and status that are seen for the first time.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec
	retries   *prometheus.CounterVec
	ejections *prometheus.CounterVec
	services  services
}

// New makes an empty set of metrics, with those of Go and of the process.
func New() *Metrics {
	labels := []string{"service", "method", "status"}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kamal_proxy_http_requests_total",
			Help: "HTTP requests that have ended.",
		}, labels),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kamal_proxy_http_request_duration_seconds",
			Help:    "Time from a request's head to the end of its response.",
			Buckets: prometheus.DefBuckets,
		}, labels),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kamal_proxy_http_in_flight_requests",
			Help: "HTTP requests that are under way.",
		}, []string{"service"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kamal_proxy_http_retries_total",
			Help: "HTTP requests that were sent to another target, because one did not answer.",
		}, []string{"service"}),
		ejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kamal_proxy_target_ejections_total",
			Help: "Times a target was left out for a while, because it kept failing.",
		}, []string{"service"}),
	}
	m.registry.MustRegister(m.requests, m.durations, m.inFlight, m.retries, m.ejections, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Begin counts a request of a service as under way. End must follow.
func (m *Metrics) Begin(service string) {
	m.service(service).inFlight.Inc()
}

// End counts a request as over.
func (m *Metrics) End(service, method string, status int, duration time.Duration) {
	s := m.services.find(service)
	if s == nil {
		return // it was forgotten in the meantime
	}
	s.inFlight.Dec()
	o := m.outcome(s, kindOf(method, status))
	o.requests.Inc()
	o.durations.Observe(duration.Seconds())
}

// Retry counts a request that is sent to another target.
func (m *Metrics) Retry(service string) {
	if s := m.services.find(service); s != nil {
		s.retries.Inc()
	}
}

// Ejected counts a target of a service that is left out for a while.
func (m *Metrics) Ejected(service string) { m.service(service).ejections.Inc() }

// Counter adds a metric that only grows and that read tells, such as
// kamal_proxy_actor_panics_total. It panics if the name is taken or no name.
func (m *Metrics) Counter(name, help string, read func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
		func() float64 { return float64(read()) }))
}

// Gauge adds a metric that goes up and down and that read tells. It panics as
// Counter does.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Handler shows the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
