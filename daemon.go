package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
	"kamal-proxy/cli"
	"kamal-proxy/transport/accesslog"
	"kamal-proxy/transport/buffer"
	"kamal-proxy/transport/certs"
	"kamal-proxy/transport/control"
	"kamal-proxy/transport/crash"
	"kamal-proxy/transport/handover"
	"kamal-proxy/transport/holder"
	"kamal-proxy/transport/ingress"
	"kamal-proxy/transport/metrics"
	"kamal-proxy/transport/notify"
	"kamal-proxy/transport/probe"
	"kamal-proxy/transport/proxy"
	"kamal-proxy/transport/quicport"
)

// daemon is everything that `kamal-proxy run` holds open.
type daemon struct {
	options  cli.RunOptions
	held     bool // by process number 1, which starts another one when this ends
	signals  *signals
	lines    *accesslog.Writer
	log      zerolog.Logger
	access   *accesslog.Logger
	metrics  *metrics.Metrics
	system   *system.System
	registry registry.Ref
	policy   *certs.Policy
	crowd    *ingress.Crowd
	story    *proxy.Proxy
	manager  *notify.Notifier

	socket                 net.Listener
	plain, secure, scraped net.Listener   // scraped: the metrics port, nil without
	quic                   *net.UDPConn   // nil without --http3
	shared                 *quicport.Port // quic, as it is shared with other processes; nil without
	web                    [2]*ingress.Server
	http3                  *ingress.HTTP3 // nil without --http3
	control                *control.Server

	predecessor *handover.Predecessor // that this process takes over from; nil: none
	succession  *succession
}

// serve runs the proxy until ctx ends or a signal says so.
func serve(ctx context.Context, o cli.RunOptions, stdout io.Writer) error {
	signals := watchSignals(ctx)
	defer signals.stop()
	limitMemory(os.DirFS("/"))
	d := &daemon{options: o, signals: signals, lines: accesslog.NewWriter(stdout), metrics: metrics.New(), manager: notify.New()}
	defer d.lines.Close()
	d.log, d.access = accesslog.Setup(d.lines, o.Debug), accesslog.New(d.lines)
	d.succession, d.held = newSuccession(), os.Getenv(holder.Variable) != ""

	if err := d.prepare(); err != nil {
		d.closeListeners()
		return err
	}
	return d.run()
}

// prepare does all that can fail before anything is served.
func (d *daemon) prepare() (err error) {
	if d.predecessor, err = handover.Join(); err != nil {
		return err
	}
	if d.predecessor != nil {
		return d.takeOver()
	}
	if err := d.listen(); err != nil {
		return err
	}
	if d.quic != nil {
		d.shared = quicport.New(d.quic, 0, quicport.NewKey(), nil)
	}
	records, err := store.Load(d.options.Data, nil, d.log)
	if err != nil {
		return err
	}
	return d.startActors(records)
}

// startActors makes the actors and gives them what was kept.
func (d *daemon) startActors(records []*spec.Record) (err error) {
	if d.system, err = system.New(d.log); err != nil {
		return err
	}
	d.metrics.Counter("kamal_proxy_actor_panics_total", "Panics that were caught in actors.", d.system.Crashes)
	d.metrics.Counter("kamal_proxy_panics_total", "Panics that were caught in requests and connections.", crash.Total)
	d.metrics.Counter("kamal_proxy_log_lines_lost_total", "Lines of the log that its output did not take.", d.lines.Lost)
	crash.LogTo(d.log)
	if err := os.MkdirAll(d.options.Data, 0o700); err != nil {
		d.log.Error().Err(err).Msg("The data folder cannot be made, so no deploy will be accepted until it can")
	}
	d.warnOfFolder()
	if err := buffer.Clean(""); err != nil {
		d.log.Warn().Err(err).Msg("Files of bodies that an earlier process kept may be left")
	}
	if len(records) > 0 {
		d.log.Info().Int("services", len(records)).Msg("State restored")
	}
	d.makeCrowd()
	d.makeStory()
	d.registry = registry.Spawn(registry.Config{
		System: d.system, Log: d.log,
		Store: func(tell func(store.Saved)) system.Ref[store.Message] {
			return system.Spawn(d.system, "store", 16, store.New(store.Config{Dir: d.options.Data, Tell: tell, Log: d.log}))
		},
		Connect:     d.connect,
		Check:       probe.New,
		MaxHeld:     d.options.MaxHeld,
		MaxInFlight: d.options.MaxInFlight,
		Ejected:     d.metrics.Ejected,
		Sites:       sites{d.policy},
		Forgotten:   d.metrics.Forget,

		Predecessor: d.former(),
	})
	restore := registry.Restore{Reply: system.NewReply[struct{}](), Services: d.withAssets(records)}
	d.registry.Tell(restore)
	_, err = restore.Wait(context.Background(), d.registry.Stopped())
	return err
}

// makeStory makes what requests and handshakes go through. Each may need the
// other: a challenge comes as a request, and an app may say which hosts get a
// certificate.
func (d *daemon) makeStory() {
	d.policy = certs.New(certs.Config{
		Log:             d.log,
		DefaultCacheDir: filepath.Join(d.options.Data, "certs"),
		AskApp: func(ctx context.Context, service, host, target string) (int, []byte, error) {
			return d.story.AskApp(ctx, service, host, target)
		},
	})
	d.story = proxy.New(proxy.Config{
		Ask:       func(r *service.Route) { d.registry.Tell(registry.Route{Route: r}) },
		Leave:     func(r *service.Route) { d.registry.Tell(registry.Leave{Route: r}) },
		Challenge: d.policy.Challenge,
		Trusted:   d.options.TrustedProxies,
		Log:       d.access,
		Metrics:   d.metrics,
		Logger:    d.log,
	})
}

// withAssets loads what restored services need. What cannot be loaded costs
// its service that feature, never its routes.
func (d *daemon) withAssets(records []*spec.Record) []service.Restore {
	var services []service.Restore
	for _, r := range records {
		assets, err := load(r.Options)
		if err != nil {
			d.log.Error().Err(err).Str("service", r.Name).Msg("A restored service goes on without some of its files, deploy it again")
		}
		services = append(services, service.Restore{Record: r, Assets: assets})
	}
	return services
}

// run serves until a signal says otherwise, or a successor does.
func (d *daemon) run() error {
	d.makeServers()
	d.control = control.NewServer(control.Config{Registry: d.registry, Load: load, Upgrade: d.upgrade, Log: d.log})

	scraping, stopScraping := context.WithCancel(context.Background())
	defer stopScraping()
	failed := make(chan error, 5)
	var servers sync.WaitGroup
	start := func(serve func() error) {
		servers.Go(func() {
			if err := serve(); err != nil {
				failed <- err
			}
		})
	}
	start(func() error { return d.web[0].Serve(d.plain) })
	start(func() error { return d.web[1].Serve(d.secure) })
	if d.http3 != nil {
		start(func() error { return d.http3.Serve(d.shared) })
	}
	start(func() error { return d.control.Serve(d.socket) })
	go followLoad(scraping, processorTime)
	go trimMemory(scraping)
	if d.scraped != nil {
		start(func() error { return metrics.Serve(scraping, d.scraped, d.metrics) })
	}
	d.logStart()
	d.sayReady()
	servers.Go(func() { d.watch(scraping, d.signals.end) })

	var err error
	for serving := true; serving; {
		select {
		case <-d.signals.upgrade:
			go d.upgradeBySignal()
			continue
		case <-d.signals.end.Done():
		case <-d.succession.done:
		case err = <-failed:
			d.log.Error().Err(err).Msg("A port is lost, so the proxy ends")
		}
		serving = false
	}
	if d.succession.end() {
		d.shutdown()
		stopScraping()
	} else {
		<-d.succession.done
		stopScraping()
		d.retire()
	}
	servers.Wait()
	d.logEnd()
	return err
}

func (d *daemon) logStart() {
	d.log.Info().
		Int("http", port(d.plain)).Int("https", port(d.secure)).Bool("http3", d.quic != nil).Int("metrics", port(d.scraped)).
		Str("version", cli.Version).Int("pid", os.Getpid()).Str("socket", d.options.Socket).
		Msg("Server started")
	d.warnOfTrust()
}

// logEnd tells the end of the proxy from that of a process whose place another
// has taken.
func (d *daemon) logEnd() {
	message := "Server stopped"
	if d.succession.fate.Load() == replaced {
		message = "The process before the upgrade has ended"
	}
	d.log.Info().Int("pid", os.Getpid()).Msg(message)
}

// warnOfFolder tells where others could put a state of theirs in the place of
// ours. The files in it are for this user alone, whatever the folder is.
func (d *daemon) warnOfFolder() {
	if folder, err := os.Stat(d.options.Data); err == nil && folder.Mode().Perm()&0o022 != 0 {
		d.log.Warn().Str("folder", d.options.Data).Str("mode", folder.Mode().Perm().String()).
			Msg("The data folder can be written to by other users: chmod it to 0700")
	}
}

// warnOfTrust tells what the operator may not have meant.
func (d *daemon) warnOfTrust() {
	if !d.options.ProxyProtocol {
		return
	}
	if len(d.options.TrustedProxies) == 0 {
		d.log.Warn().Msg("--proxy-protocol without --trusted-proxy: whoever reaches the ports can name any address as the client's")
	}
	if d.options.HTTP3 {
		d.log.Warn().Msg("--proxy-protocol does not apply to --http3: its clients are those whose packets arrive")
	}
}
