package registry

import (
	"time"

	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
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

// Inspect asks how the targets of a service are; it is forwarded.
type Inspect struct {
	Service string
	service.Inspect
}

// Restore is told by main before any port is opened: the state file's
// services, with what was loaded for them.
type Restore struct {
	*system.Reply[struct{}]
	Services []service.Restore
}

// HandOver is told by main when a successor is about to take over: what is
// ordered from now on waits, and what is under way ends, drains too. Then it is
// answered with what is committed, and this process writes the state file no
// more. Requests go on as before.
type HandOver struct {
	*system.Reply[store.Snapshot]
}

// TakeBack is told by main when the successor has failed: the orders that wait
// are carried out as if nothing had happened.
type TakeBack struct{}

// Yield is told by main when the successor serves: the orders that wait, and all
// later ones, are answered with ErrMoved.
type Yield struct{}

// Follow is told by main what the successor has committed, after a HandOver,
// one by one: this process does the same with the requests that it still has,
// and answers when what the order ended has ended.
type Follow struct {
	*system.Reply[struct{}]
	Following
}

// Following is one change of a service, as a successor tells it the process
// before it.
type Following struct {
	Service      string
	What         service.Change
	Record       *spec.Record   // nil: it was removed
	Assets       service.Assets // loaded for Record; looked at if it was deployed, or is not known
	DrainTimeout time.Duration
}

// Quiesce is told by main when the proxy begins to end, before the listeners
// drain: requests that wait in a pause are answered 503, tunnels are ended.
type Quiesce struct{}

// Sever is told by main when the time to end is up: what still runs is cut off,
// with 504 where no answer has begun.
type Sever struct{}

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
func (Inspect) registryMessage()     {}
func (Restore) registryMessage()     {}
func (HandOver) registryMessage()    {}
func (TakeBack) registryMessage()    {}
func (Yield) registryMessage()       {}
func (Follow) registryMessage()      {}
func (Quiesce) registryMessage()     {}
func (Sever) registryMessage()       {}
func (Shutdown) registryMessage()    {}
func (fromService) registryMessage() {}
func (fromStore) registryMessage()   {}
