package registry

import (
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

// Ref is the registry's address.
type Ref = system.Ref[Message]

// Message is what the registry takes.
type Message interface{ registryMessage() }

// Route asks where a request goes. It is answered by the service it is
// forwarded to, or with 404 if there is none.
type Route struct{ *service.Route }

// Leave says that the asker of this Route has abandoned it.
type Leave struct{ *service.Route }

// Order is an operator's order to one service; it is forwarded as it is.
// service.Deploy makes the service if there is none of that name, all others
// fail with ErrNotFound.
type Order struct {
	Service string
	service.Order
}

// Remove takes a service's hosts away, ends its deploys, and is answered when
// its requests have ended or DrainTimeout is over.
type Remove struct {
	*service.Asker
	Service      string
	DrainTimeout time.Duration
}

// List asks for what is committed, sorted by name. The answer is an immutable
// snapshot.
type List struct{ *system.Reply[store.Snapshot] }

// Restore is told by main before any port is opened: the state file's
// services, with what was loaded for them.
type Restore struct {
	*system.Reply[struct{}]
	Services []service.Restore
}

// Quiesce is told by main when the proxy begins to end, before the listeners
// drain: requests that wait in a pause are answered 503, tunnels are ended.
type Quiesce struct{}

// Shutdown is told by main when the listeners have ended: it ends the
// services and is answered when all of them, and the last save, are done.
type Shutdown struct{ *system.Reply[struct{}] }

type (
	fromService struct{ service.Event }
	fromStore   struct{ store.Saved }
)

func (Route) registryMessage()       {}
func (Leave) registryMessage()       {}
func (Order) registryMessage()       {}
func (Remove) registryMessage()      {}
func (List) registryMessage()        {}
func (Restore) registryMessage()     {}
func (Quiesce) registryMessage()     {}
func (Shutdown) registryMessage()    {}
func (fromService) registryMessage() {}
func (fromStore) registryMessage()   {}
