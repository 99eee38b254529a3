package system_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anthdm/hollywood/actor"
)

// question is what a caller of the bare library asks.
type question struct {
	host   string
	answer chan *actor.PID
}

type goodbye struct{ question *question }

type bareRouter map[string]*actor.PID

func (r bareRouter) Receive(c *actor.Context) {
	if q, ok := c.Message().(*question); ok {
		c.Engine().Send(r[q.host], q)
	}
}

type bareService struct{ inFlight int }

func (s *bareService) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case *question:
		s.inFlight++
		m.answer <- c.PID()
	case goodbye:
		s.inFlight--
	}
}

// BenchmarkBareLibrary is what registry's BenchmarkQuestion is to be compared
// with, in the same run: the same three messages between actors that decide
// nothing and that nothing guards.
func BenchmarkBareLibrary(b *testing.B) {
	for _, services := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			engine, err := actor.NewEngine(actor.NewEngineConfig())
			if err != nil {
				b.Fatal(err)
			}
			router, hosts := bareRouter{}, make([]string, services)
			for i := range hosts {
				hosts[i] = fmt.Sprintf("service-%d.test", i)
				router[hosts[i]] = engine.Spawn(func() actor.Receiver { return &bareService{} }, "service", actor.WithInboxSize(64))
			}
			pid := engine.Spawn(func() actor.Receiver { return router }, "router")
			var turn atomic.Uint64
			b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			b.RunParallel(func(pb *testing.PB) {
				at := int(turn.Add(1)) * 7919
				q := &question{answer: make(chan *actor.PID, 1)}
				for pb.Next() {
					at++
					q.host = hosts[at%services]
					engine.Send(pid, q)
					engine.Send(<-q.answer, goodbye{})
				}
			})
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
