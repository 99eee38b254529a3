// Package registry is the root of the actors: it owns the names of the
// services, their hosts and paths, and what is kept of them on disk. Every
// request's question comes here and is forwarded to its service; every order
// goes through here.
//
//	request ---Route---> registry ---Route---> service ---Verdict---> request
//	order   ---Order---> registry ---Deploy--> service
//	                     registry <--Claim---- service   (healthy, wants this)
//	                     registry ---Save----> store
//	                     registry <--Saved---- store     (it is on disk)
//	                     registry --Granted--> service   (and the table changes)
//
// The order of these messages makes the switch safe: the registry is the only
// sender of Route, Granted and Remove, and sends the last two in the Receive
// that changes the table. No Receive waits, and none grows with the number of
// services.
package registry

import (
	"github.com/rs/zerolog"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

// ErrNotFound answers an order to a service that is not there. Its text is
// interface.
var ErrNotFound = service.ErrNoService

// Config is what the registry is made of.
type Config struct {
	System *system.System
	Log    zerolog.Logger
	// Store spawns the store, which is to tell what it has saved.
	Store func(tell func(store.Saved)) system.Ref[store.Message]
	// Connect, Check, MaxHeld, MaxInFlight and Ejected are passed on to the
	// services.
	Connect     func(target string, o spec.TargetOptions) (service.Upstream, error)
	Check       func(target string, h spec.HealthCheck) healthcheck.Check
	MaxHeld     int
	MaxInFlight int
	Ejected     func(service string)
	// Sites is told what is in force for handshakes; nil: there are none.
	Sites Sites
	// Predecessor is the process that this one takes over from; nil: there is
	// none.
	Predecessor Predecessor
	// Forgotten is called when a service is no more; it must not wait.
	Forgotten func(name string)
}

// Sites is the view that TLS handshakes and ACME challenges read beside the
// actors. It is told in the Receive that changes the table, of services without
// TLS too, and must not wait.
type Sites interface {
	Put(record *spec.Record, assets service.Assets)
	Remove(service string)
}

type registry struct {
	config Config
	self   Ref
	store  system.Ref[store.Message]

	table     *table
	reserved  *table // of changes that are being saved
	entries   map[string]*entry
	byID      map[uint64]*entry // those that are leaving, too
	lastID    uint64
	committed catalog      // what is on disk
	saving    []*change    // what is on its way there; nil: nothing is
	pending   []*change    // what goes there next
	sequence  uint64       // of the last save
	outcome   *store.Saved // of the one under way, while it is carried out

	handover handover
	closing  bool // no order is taken any more
	ending   []Shutdown
	ended    bool // the services were told to end
}

// entry is one service as the registry knows it. Without a record it has
// never switched, and is not there for anybody else.
type entry struct {
	id     uint64
	name   string
	ref    service.Ref
	record *spec.Record
	assets service.Assets
	given  int // deploys that were forwarded

	root      bool // it is at the root of its hosts
	firstHost string
	settings  *service.Settings // its own TLS settings

	changing bool      // a Claim is being saved
	removing *Remove   // accepted, not saved yet
	waiting  []Message // orders for whoever has the name after that
	leaving  bool      // removed, draining
	turn     uint64    // of the Conclude that it has not answered yet, or 0
}

func (e *entry) adopt(r *spec.Record, assets service.Assets) {
	e.record, e.assets = r, assets
	e.firstHost = r.Options.Hosts[0]
	e.root = false
	for _, prefix := range r.Options.PathPrefixes {
		e.root = e.root || prefix == "/"
	}
	e.settings = &service.Settings{
		Enabled:       r.Options.TLSEnabled,
		Redirect:      r.Options.TLSRedirect,
		CanonicalHost: r.Options.CanonicalHost,
	}
}

// nowhere is for those who serve no handshakes.
type nowhere struct{}

func (nowhere) Put(*spec.Record, service.Assets) {}
func (nowhere) Remove(string)                    {}

// Spawn starts the registry, and the store.
func Spawn(config Config) Ref {
	if config.Sites == nil {
		config.Sites = nowhere{}
	}
	return system.Spawn(config.System, "registry", 1024, func(self Ref) system.Receiver[Message] {
		r := &registry{
			config: config, self: self,
			table: newTable(), reserved: newTable(),
			entries: map[string]*entry{}, byID: map[uint64]*entry{},
			committed: newCatalog(),
		}
		r.store = config.Store(func(s store.Saved) { self.Tell(fromStore{s}) })
		return r
	})
}

// Receive implements system.Receiver. Requests go their own way: what all the
// other messages need of the stack would outgrow the one that a woken actor
// begins with.
func (r *registry) Receive(m Message) {
	if q, ok := m.(Route); ok {
		r.route(q.Route)
		return
	}
	r.command(m)
}

func (r *registry) command(m Message) {
	switch m := m.(type) {
	case Leave:
		m.Left()
	case Order:
		if !r.parks(m.Service, m.Asking, m) {
			r.order(m)
		}
	case Remove:
		if !r.parks(m.Service, m.Asking, m) {
			r.remove(m)
		}
	case List:
		m.Answer(r.committed, nil)
	case Inspect:
		r.inspect(m)
	case fromService:
		r.heard(m.Event)
	case fromStore:
		r.saved(m.Saved)
	case Restore:
		r.restore(m)
	case HandOver:
		r.handOver(m)
	case TakeBack:
		r.takeBack()
	case Yield:
		r.yield()
	case Follow:
		r.follow(m)
	case Quiesce:
		r.quiesce()
	case Sever:
		r.sever()
	case Shutdown:
		r.end(m)
	}
}

// route forwards a request's question to its service.
func (r *registry) route(q *service.Route) {
	e, prefix := r.table.match(q.Host, q.Path)
	if e == nil {
		q.Refuse(404)
		return
	}
	q.Prefix, q.Settings = prefix, r.settings(e)
	q.Forward(e.ref)
}

// order forwards an operator's order; a deploy makes its service.
func (r *registry) order(o Order) {
	if r.closing {
		o.Asking().Answer(struct{}{}, service.ErrShutdown)
		return
	}
	e := r.entries[o.Service]
	if e != nil && e.removing != nil {
		e.waiting = append(e.waiting, o)
		return
	}
	deploy, isDeploy := o.Order.(*service.Deploy)
	if isDeploy && deploy.Slot == service.Active {
		r.deploy(e, o.Service, deploy)
		return
	}
	if e == nil || e.record == nil {
		o.Asking().Answer(struct{}{}, ErrNotFound)
		return
	}
	if isDeploy {
		e.given++
	}
	e.ref.Tell(o.Order)
	r.conclude(e)
}

// inspect forwards a question about a service's targets.
func (r *registry) inspect(m Inspect) {
	if e := r.entries[m.Service]; e != nil && e.record != nil {
		e.ref.Tell(m.Inspect)
		return
	}
	m.Answer(nil, ErrNotFound)
}

// deploy forwards a deploy unless its hosts are taken already. They are looked
// at again when its targets are healthy.
func (r *registry) deploy(e *entry, name string, d *service.Deploy) {
	if err := r.free(e, &d.Options); err != nil {
		d.Answer(struct{}{}, err)
		return
	}
	if e == nil {
		e = r.spawn(name)
	}
	e.given++
	e.ref.Tell(d)
	r.conclude(e)
}

func (r *registry) spawn(name string) *entry {
	r.lastID++
	e := &entry{id: r.lastID, name: name}
	e.ref = service.Spawn(service.Config{
		ID: e.id, Name: name,
		System: r.config.System, Log: r.config.Log,
		Tell:    func(event service.Event) { r.self.Tell(fromService{event}) },
		Connect: r.config.Connect, Check: r.config.Check, MaxHeld: r.config.MaxHeld,
		MaxInFlight: r.config.MaxInFlight, Ejected: r.config.Ejected,
	})
	r.entries[name], r.byID[e.id] = e, e
	return e
}

func (r *registry) heard(event service.Event) {
	switch event := event.(type) {
	case service.Claim:
		r.claim(event)
	case service.Gone:
		r.gone(event)
	case service.Idle:
		r.idle(event)
	}
}

// gone lets a service go that has nothing left to do, unless it was given
// something meanwhile.
func (r *registry) gone(m service.Gone) {
	e := r.byID[m.Service]
	if e == nil {
		return
	}
	if !r.ended && !e.leaving && (e.record != nil || e.given != m.Ended) {
		return
	}
	delete(r.byID, e.id)
	if r.entries[e.name] == e {
		delete(r.entries, e.name)
	}
	e.ref.Stop()
	r.concluded(e)
	r.finish()
	if r.entries[e.name] == nil && r.config.Forgotten != nil {
		r.self.Protect(func() { r.config.Forgotten(e.name) })
	}
}

// restore takes up the state file's services, which serve at once.
func (r *registry) restore(m Restore) {
	for i := range m.Services {
		restored := &m.Services[i]
		record := restored.Record
		if err := r.free(nil, &record.Options); err != nil {
			r.config.Log.Error().Err(err).Str("service", record.Name).Msg("Two restored services want the same host, the first by name has it")
		}
		e := r.spawn(record.Name)
		r.show(record, restored.Assets)
		e.ref.Tell(restored)
		r.adopt(e, record, restored.Assets)
	}
	m.Answer(struct{}{}, nil)
}

func (r *registry) quiesce() {
	r.closing = true
	r.abandon()
	for _, e := range r.byID {
		e.ref.Tell(service.Quiesce{})
	}
}

func (r *registry) sever() {
	for _, e := range r.byID {
		e.ref.Tell(service.Sever{})
	}
}

func (r *registry) end(m Shutdown) {
	r.closing = true
	r.abandon()
	r.ending = append(r.ending, m)
	r.finish()
}

// finish goes on with a Shutdown: when the last save is done, the services are
// told to end, and when they have ended, it is answered.
func (r *registry) finish() {
	if len(r.ending) == 0 || r.saving != nil || len(r.pending) > 0 {
		return
	}
	if !r.ended {
		r.ended = true
		for _, e := range r.byID {
			e.ref.Tell(service.Shutdown{})
		}
	}
	if len(r.byID) > 0 {
		return
	}
	r.store.Stop()
	for _, m := range r.ending {
		m.Answer(struct{}{}, nil)
	}
}
