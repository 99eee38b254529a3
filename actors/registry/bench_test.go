package registry_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

// BenchmarkQuestion is one request's question and goodbye, through registry and
// service, asked by 64 callers at once. Services are called in turn, so with
// 10,000 of them each message wakes an idle actor.
func BenchmarkQuestion(b *testing.B) {
	for _, services := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			ref := restored(b, services)
			hosts := make([]string, services)
			for i := range hosts {
				hosts[i] = hostOf(i)
			}
			var turn atomic.Uint64
			leave := func(r *service.Route) { ref.Tell(registry.Leave{Route: r}) }
			cut := func(error) {}
			// A request's own context can end, so one that cannot would flatter.
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()

			b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			b.RunParallel(func(pb *testing.PB) {
				// Each caller goes round on its own: what they share would be
				// measured, too.
				at := int(turn.Add(1)) * 7919
				for pb.Next() {
					at++
					r := service.NewRoute()
					r.Host, r.Path, r.Method, r.Cut = hosts[at%services], "/some/path", "GET", cut
					ref.Tell(registry.Route{Route: r})
					v, err := r.Await(ctx, leave)
					if err != nil || v.Lease == nil {
						b.Errorf("the verdict is %+v, %v", v, err)
						return
					}
					v.Lease.Finish()
				}
			})
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

func hostOf(i int) string { return fmt.Sprintf("service-%d.test", i) }

// cpu is the time that both cores have worked for this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type nowhere struct{}

func (nowhere) Close() {}

// restored returns a registry with that many services, which all serve.
func restored(tb testing.TB, services int) registry.Ref {
	s, err := system.New(zerolog.Nop())
	if err != nil {
		tb.Fatal(err)
	}
	ref := registry.Spawn(registry.Config{
		System: s, Log: zerolog.Nop(), MaxHeld: 100, Store: (&disk{}).spawn(s),
		Connect: func(string, spec.TargetOptions) (service.Upstream, error) { return nowhere{}, nil },
		Check: func(string, spec.HealthCheck) healthcheck.Check {
			return func(context.Context) healthcheck.Result { return ok }
		},
	})
	m := registry.Restore{Reply: system.NewReply[struct{}]()}
	for i := range services {
		r := record(fmt.Sprintf("service-%05d", i), "target:80")
		r.Options.Hosts = []string{hostOf(i)}
		m.Services = append(m.Services, service.Restore{Record: r})
	}
	ref.Tell(m)
	if _, err := m.Wait(tb.Context(), nil); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		done := registry.Shutdown{Reply: system.NewReply[struct{}]()}
		ref.Tell(done)
		if _, err := done.Wait(context.Background(), nil); err != nil {
			tb.Error(err)
		}
		ref.Stop()
		<-ref.Stopped()
	})
	return ref
}

// With 10,000 services each finds its own, the list has them all, and one more
// change is one save.
func TestTenThousandServices(t *testing.T) {
	const services = 10_000
	ref := restored(t, services)
	for i := range services {
		r := service.NewRoute()
		r.Host, r.Path, r.Method = hostOf(i), "/", "GET"
		ref.Tell(registry.Route{Route: r})
		v, err := r.Await(t.Context(), func(*service.Route) {})
		if want := fmt.Sprintf("service-%05d", i); err != nil || v.Service != want {
			t.Fatalf("%s belongs to %s, %v", hostOf(i), v.Service, err)
		}
		v.Lease.Finish()
	}
	q := registry.List{Reply: system.NewReply[store.Snapshot]()}
	ref.Tell(q)
	all, err := q.Wait(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	all.Each(func(r *spec.Record) bool {
		if r.Name != fmt.Sprintf("service-%05d", n) {
			t.Fatalf("the list has %s at place %d", r.Name, n)
		}
		n++
		return true
	})
	if n != services {
		t.Errorf("the list has %d services", n)
	}
}
