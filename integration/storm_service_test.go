package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// The services of a storm: Kamal passes the buffering flags, others do not, and
// one has two targets at a time.
const (
	plainHost    = "plain.example"
	bufferedHost = "buffered.example"
	pairHost     = "pair.example"
)

var stormHosts = []string{plainHost, bufferedHost, pairHost}

// stormService is a service that goes to and fro between addresses.
type stormService struct {
	name    string
	flags   []string
	now     []*instance
	next    []string // the other addresses
	deploys int
}

func newStormService(t *testing.T, host string, flags ...string) *stormService {
	t.Helper()
	service := &stormService{name: strings.TrimSuffix(host, ".example"), flags: append([]string{"--host", host}, flags...)}
	targets := 1
	switch host {
	case pairHost:
		targets = 2
		service.flags = append(service.flags, "--lb", "least")
	case bufferedHost:
		service.flags = append(service.flags, "--buffer-requests", "--buffer-responses")
	}
	for range targets {
		service.now = append(service.now, startInstance(t, ""))
		service.next = append(service.next, freeAddress(t))
	}
	return service
}

// deploys makes n in each service, the services beside each other. Each old
// instance ends for real as soon as its deploy has returned.
func (s *storm) deploys(n int) {
	var services sync.WaitGroup
	for _, service := range s.services {
		services.Go(func() {
			for range n {
				if !s.deploy(service) {
					return
				}
			}
		})
	}
	services.Wait()
}

func (s *storm) deploy(service *stormService) (ok bool) {
	old := service.now
	s.awaitBusy(service)
	var next []*instance
	for _, address := range service.next {
		i := startInstance(s.t, address)
		if i == nil {
			return false
		}
		next = append(next, i)
	}
	if _, stderr, code := s.d.run(service.order(next)...); code != 0 {
		s.t.Errorf("deploy %d of %s failed: %s", service.deploys, service.name, stderr)
		return false
	}
	service.next = nil
	for _, i := range old {
		if cut := i.end(); cut != 0 {
			s.t.Errorf("deploy %d of %s returned with %d requests still on an old target", service.deploys, service.name, cut)
		}
		service.next = append(service.next, i.address)
	}
	for _, i := range old {
		if late := i.late.Load(); late != 0 {
			s.t.Errorf("deploy %d of %s: %d requests came to an old target after its drain", service.deploys, service.name, late)
		}
	}
	service.now = next
	service.deploys++
	return true
}

// order is the command that deploys instances.
func (service *stormService) order(instances []*instance) []string {
	order := append([]string{"deploy", service.name}, service.flags...)
	for _, i := range instances {
		order = append(order, "--target", i.address)
	}
	return order
}

// awaitBusy waits until a service's instances have served some requests and
// have some more under way.
func (s *storm) awaitBusy(service *stormService) {
	s.t.Helper()
	eventually(s.t, "the load reaches "+service.name, func() error {
		var served, underWay int64
		for _, i := range service.now {
			served, underWay = served+i.served.Load(), underWay+i.underWay.Load()
		}
		if served < 50 || underWay < 4 {
			return fmt.Errorf("%d requests served, %d under way", served, underWay)
		}
		return nil
	})
}

// made is how many deploys there were.
func (s *storm) made() (n int) {
	for _, service := range s.services {
		n += service.deploys
	}
	return n
}
