package registry

import (
	"strings"

	"kamal-proxy/actors/spec"
)

// table says which service a host and path belong to. It changes in place, by
// what one service gains or loses, and a look-up does not grow with the number
// of services.
type table struct {
	exact map[string]*paths // by host; the empty one stands for any other
	wild  map[string]*paths // by the host below the wildcard's label
}

// paths are the mount points of one host.
type paths struct {
	byPrefix map[string]*entry
	depth    int // the most slashes of a prefix; never shrinks
}

func newTable() *table {
	return &table{exact: map[string]*paths{}, wild: map[string]*paths{}}
}

// match returns the service of a request, and the prefix it was found by. A
// host that is known, but not with that path, has none: it does not fall to a
// wildcard or to the service without a host.
func (t *table) match(host, path string) (*entry, string) {
	if p := t.paths(host); p != nil {
		return p.match(path)
	}
	return nil, ""
}

func (t *table) paths(host string) *paths {
	if p := t.exact[host]; p != nil {
		return p
	}
	if dot := strings.IndexByte(host, '.'); dot > 0 {
		if p := t.wild[host[dot+1:]]; p != nil {
			return p
		}
	}
	return t.exact[""]
}

// match walks the path from slash to slash, as deep as the deepest prefix.
func (p *paths) match(path string) (*entry, string) {
	best, prefix := p.byPrefix["/"], "/"
	for slash, depth := 0, 0; depth < p.depth && slash < len(path); depth++ {
		next := strings.IndexByte(path[slash+1:], '/')
		if next < 0 {
			next = len(path)
		} else {
			next += slash + 1
		}
		if e := p.byPrefix[path[:next]]; e != nil {
			best, prefix = e, path[:next]
		}
		slash = next
	}
	if best == nil {
		return nil, ""
	}
	return best, prefix
}

// owner returns the service that has exactly this host and prefix.
func (t *table) owner(host, prefix string) *entry {
	hosts, key := t.side(host)
	if p := hosts[key]; p != nil {
		return p.byPrefix[prefix]
	}
	return nil
}

// side returns where a host's paths are kept, and by which key.
func (t *table) side(host string) (map[string]*paths, string) {
	if parent, wild := strings.CutPrefix(host, "*."); wild {
		return t.wild, parent
	}
	return t.exact, host
}

// put routes to e what the options name and no other service has.
func (t *table) put(e *entry, o *spec.Options) {
	for host, prefix := range routes(o) {
		hosts, key := t.side(host)
		p := hosts[key]
		if p == nil {
			p = &paths{byPrefix: map[string]*entry{}}
			hosts[key] = p
		}
		if p.byPrefix[prefix] != nil {
			continue
		}
		p.byPrefix[prefix] = e
		if prefix != "/" {
			p.depth = max(p.depth, strings.Count(prefix, "/"))
		}
	}
}

// take stops routing to e what the options name.
func (t *table) take(e *entry, o *spec.Options) {
	for host, prefix := range routes(o) {
		hosts, key := t.side(host)
		p := hosts[key]
		if p == nil || p.byPrefix[prefix] != e {
			continue
		}
		delete(p.byPrefix, prefix)
		if len(p.byPrefix) == 0 {
			delete(hosts, key)
		}
	}
}

// routes yields each host with each path prefix, as requests have it.
func routes(o *spec.Options) func(yield func(host, prefix string) bool) {
	return func(yield func(string, string) bool) {
		for _, host := range o.Hosts {
			for _, prefix := range o.PathPrefixes {
				if !yield(host, spec.WirePath(prefix)) {
					return
				}
			}
		}
	}
}
