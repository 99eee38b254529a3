package certs

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-immutable-radix/v2"

	"kamal-proxy/actors/spec"
)

// view is what handshakes read without a lock: which service is at the root of
// a host, as the registry's table has it. Its one writer is the registry.
type view struct {
	places  sync.Map                             // host, as spec has it: *place
	ordered atomic.Pointer[iradix.Tree[*tenant]] // by name: services with TLS and a named host
	tenants map[string]*tenant                   // the writer's own
}

// place is one host. It is never changed once it is published.
type place struct {
	root     *tenant // the service at its root; nil: there is none
	services int     // that have the host, with whatever path
}

// tenant is one service. Its terms change in one step for all its hosts.
type tenant struct {
	hosts []string
	short bool // another service is at the root of one of its hosts
	terms atomic.Pointer[terms]
}

func newView() *view {
	v := &view{tenants: map[string]*tenant{}}
	v.ordered.Store(iradix.New[*tenant]())
	return v
}

// terms returns the terms of the service at host's root, or nil if it has no
// TLS there. An exact host comes before a wildcard, and that before any host.
// Certificates are got for names that a service gives, or that it is asked
// about: never for whatever a client makes up.
func (v *view) terms(host string) *terms {
	p, named := v.place(host)
	if p == nil || p.root == nil {
		return nil
	}
	t := p.root.terms.Load()
	if !t.tls || t.issuer != nil && !named && t.onDemand == "" {
		return nil
	}
	return t
}

// place returns where host belongs, and whether it is there by its own name.
func (v *view) place(host string) (p *place, named bool) {
	if p := v.load(host); p != nil {
		return p, true
	}
	if dot := strings.IndexByte(host, '.'); dot > 0 {
		if p := v.load("*" + host[dot:]); p != nil {
			return p, false
		}
	}
	return v.load(spec.AnyHost), false
}

func (v *view) load(host string) *place {
	if p, ok := v.places.Load(host); ok {
		return p.(*place)
	}
	return nil
}

// first returns the first host of the first service with TLS, by name.
func (v *view) first() (string, *terms) {
	_, t, ok := v.ordered.Load().Root().Minimum()
	if !ok {
		return "", nil
	}
	return t.hosts[0], t.terms.Load()
}

func (v *view) put(service string, hosts []string, next *terms) {
	before := v.tenants[service]
	if before != nil && !before.short && before.terms.Load().root == next.root && slices.Equal(before.hosts, hosts) {
		before.terms.Store(next)
		v.rank(service, before)
		return
	}
	t := &tenant{hosts: hosts}
	t.terms.Store(next)
	v.tenants[service] = t
	v.settle(before, t)
	v.rank(service, t)
}

func (v *view) remove(service string) {
	before := v.tenants[service]
	if before == nil {
		return
	}
	delete(v.tenants, service)
	v.settle(before, nil)
	tree, _, _ := v.ordered.Load().Delete([]byte(service))
	v.ordered.Store(tree)
}

// settle gives next the hosts that are free or were before's, and takes from
// before what next does not have. A host that both have is at no time without
// a service.
func (v *view) settle(before, next *tenant) {
	old, now := before.hostSet(), next.hostSet()
	for host := range now {
		v.change(host, func(p *place) {
			if !old[host] {
				p.services++
			}
			if p.root == nil || p.root == before {
				p.root = next.ifRoot()
			} else {
				next.short = true
			}
		})
	}
	for host := range old {
		if now[host] {
			continue
		}
		v.change(host, func(p *place) {
			p.services--
			if p.root == before {
				p.root = nil
			}
		})
	}
}

func (v *view) change(host string, edit func(*place)) {
	var p place
	if now := v.load(host); now != nil {
		p = *now
	}
	edit(&p)
	if p.services == 0 {
		v.places.Delete(host)
	} else {
		v.places.Store(host, &p)
	}
}

// rank keeps the order of the services that a client without SNI can get.
func (v *view) rank(service string, t *tenant) {
	tree := v.ordered.Load()
	if t.terms.Load().tls && t.hosts[0] != spec.AnyHost {
		tree, _, _ = tree.Insert([]byte(service), t)
	} else {
		tree, _, _ = tree.Delete([]byte(service))
	}
	v.ordered.Store(tree)
}

func (t *tenant) hostSet() map[string]bool {
	set := map[string]bool{}
	if t != nil {
		for _, host := range t.hosts {
			set[host] = true
		}
	}
	return set
}

func (t *tenant) ifRoot() *tenant {
	if t.terms.Load().root {
		return t
	}
	return nil
}
