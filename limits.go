package main

import (
	"context"
	"net"
	"syscall"
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/ingress"
	"kamal-proxy/transport/upstream"
)

// makeServers makes what serves the ports. All that speaks TLS has one policy,
// and what is shared of the limits is shared by all.
func (d *daemon) makeServers() {
	o := d.options
	config := ingress.Config{
		Handler: func(x exchange.Exchange) { d.story.Serve(x) }, Log: d.log, Crowd: d.crowd,
		HeadTimeout: o.HeadTimeout, IdleTimeout: o.IdleTimeout, BodyStall: o.BodyTimeout,
		MaxHeaderBytes: o.MaxHeaderBytes, MaxHeaderFields: o.MaxHeaderFields,
		MaxRequests: o.MaxConnectionRequests, MaxResets: o.MaxStreamResets,
		ProxyProtocol: o.ProxyProtocol, Trusted: o.TrustedProxies,
	}
	d.web[0] = ingress.NewServer(config)
	config.TLS = d.policy.TLSConfig()
	if d.quic != nil {
		d.http3 = ingress.NewHTTP3(config)
		config.HTTP3Port = port(d.secure)
	}
	d.web[1] = ingress.NewServer(config)
	d.metrics.Counter("kamal_proxy_tls_handshake_failures_total", "TLS handshakes that clients did not get through.", func() uint64 {
		if d.http3 != nil {
			return d.web[1].FailedHandshakes() + d.http3.FailedHandshakes()
		}
		return d.web[1].FailedHandshakes()
	})
}

// makeCrowd makes what the ports share of their limits.
func (d *daemon) makeCrowd() {
	most := d.options.MaxConnections
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		top := mostConnections(int64(min(files.Cur, 1<<31)))
		switch {
		case most == 0:
			most = top
		case most > top:
			d.log.Warn().Int("asked", most).Int("connections", top).Int64("files", int64(min(files.Cur, 1<<31))).
				Msg("--max-connections is more than the process may open files for: raise the limit of open files (ulimit -n)")
			most = top
		}
	}
	d.crowd = ingress.NewCrowd(ingress.CrowdLimits{
		Connections: most, PerClient: d.options.MaxClientConnections, Handshakes: d.options.MaxHandshakes,
	})
	d.metrics.Gauge("kamal_proxy_connections", "Connections of clients that are open.", func() float64 { return float64(d.crowd.Open()) })
	d.metrics.Counter("kamal_proxy_connections_dismissed_total", "Idle connections that were closed to make room for others.", d.crowd.Dismissed)
	d.metrics.Counter("kamal_proxy_connections_refused_total", "Connections that were closed because their client had too many.", d.crowd.Refused)
}

// mostConnections tells how many clients there is room for, where the process may
// have so many files open. An eighth, or 16 at least, is for all else. Most
// clients are idle and need no connection to a target; where too many are not,
// dial takes descriptors from those that are.
func mostConnections(files int64) int { return int(max(files-max(files/8, 16), 1)) }

// connect makes a target's pool of connections; nothing is dialed yet.
func (d *daemon) connect(target string, o spec.TargetOptions) (service.Upstream, error) {
	address, err := spec.ParseTarget(target)
	if err != nil {
		return nil, err
	}
	return upstream.New(upstream.Options{Address: address, ResponseTimeout: o.ResponseTimeout, DialContext: d.dial}), nil
}

// shortage is how long a dial without a descriptor waits while nobody gives one:
// those that another dial has asked to go take a moment, and so do requests.
const shortage = time.Second

// dial opens a connection to a target. Where no descriptor is left for it, idle
// clients give theirs.
func (d *daemon) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	var until time.Time
	for {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil || !ingress.NoDescriptor(err) {
			return conn, err
		}
		if now := time.Now(); d.crowd.FreeDescriptor() || until.IsZero() {
			until = now.Add(shortage)
		} else if now.After(until) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(2 * time.Millisecond):
		}
	}
}
