package registry

import (
	"fmt"
	"slices"

	"github.com/hashicorp/go-immutable-radix/v2"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

// catalog is what is kept of all services: an immutable tree, so that the
// store and list walk a snapshot of it while it goes on changing, and a change
// costs no more with 10,000 services than with one.
type catalog struct {
	tree *iradix.Tree[*spec.Record]
}

func newCatalog() catalog { return catalog{iradix.New[*spec.Record]()} }

// with returns the catalog with one record put in, or, if it is nil, taken out.
func (c catalog) with(name string, r *spec.Record) catalog {
	if r == nil {
		tree, _, _ := c.tree.Delete([]byte(name))
		return catalog{tree}
	}
	tree, _, _ := c.tree.Insert([]byte(name), r)
	return catalog{tree}
}

// Each implements store.Snapshot.
func (c catalog) Each(yield func(*spec.Record) bool) {
	entries := c.tree.Root().Iterator()
	for _, r, ok := entries.Next(); ok; _, r, ok = entries.Next() {
		if !yield(r) {
			return
		}
	}
}

// ConflictError refuses a host and path that another service has. Its text is
// interface.
type ConflictError struct{ Host, Prefix, Owner string }

func (e *ConflictError) Error() string {
	where := e.Host
	if where == "" {
		where = "any host"
	}
	if e.Prefix != "/" {
		where += e.Prefix
	}
	return fmt.Sprintf("host is used by another service: %s has %s; remove it first, or choose another host or path", e.Owner, where)
}

// free reports, as an error, which of a service's hosts another one has or is
// about to get.
func (r *registry) free(e *entry, o *spec.Options) error {
	for host, prefix := range routes(o) {
		owner := r.table.owner(host, prefix)
		if owner == nil || owner == e {
			owner = r.reserved.owner(host, prefix)
		}
		if owner != nil && owner != e {
			return &ConflictError{host, prefix, owner.name}
		}
	}
	return nil
}

// gains is free for a service that has switched before: it may keep what it
// has, even where a restore found that another service has it, too.
func (r *registry) gains(e *entry, o *spec.Options) error {
	if e.record != nil && slices.Equal(e.record.Options.Hosts, o.Hosts) && slices.Equal(e.record.Options.PathPrefixes, o.PathPrefixes) {
		return nil
	}
	return r.free(e, o)
}

// settings works out the TLS settings of a service: its own, or, if it is not
// at the root, those of the service at the root of its first host.
func (r *registry) settings(e *entry) *service.Settings {
	if e.root {
		return e.settings
	}
	p := r.table.paths(e.firstHost)
	if p == nil {
		return nil
	}
	if root := p.byPrefix["/"]; root != nil {
		return root.settings
	}
	return nil
}
