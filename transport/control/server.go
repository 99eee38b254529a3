package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
	"kamal-proxy/actors/system"
)

const (
	maxBody       = 1 << 20 // bytes
	maxHead       = 16 << 10
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	idleTimeout   = 30 * time.Second
	writeTimeout  = 10 * time.Second // for a line, or for list

	examineTimeout = 5 * time.Second // for all services
)

// Load reads the files that options name. It is called from many goroutines,
// and its error is the caller's answer.
type Load func(spec.Options) (service.Assets, error)

// Config is what a Server needs.
type Config struct {
	Registry registry.Ref
	Load     Load
	Upgrade  Upgrader // nil: the daemon cannot be upgraded
	Log      zerolog.Logger
}

// Server takes orders from the socket to the registry.
type Server struct {
	config    Config
	http      *http.Server
	endpoints map[string]endpoint
	left      atomic.Bool // another process serves

	mu       sync.Mutex // guards listener
	listener net.Listener
}

type endpoint struct {
	method string
	serve  http.HandlerFunc
}

// NewServer makes a server that serves nobody yet.
func NewServer(config Config) *Server {
	s := &Server{config: config}
	s.endpoints = map[string]endpoint{
		deployPath:        taking(s, NewDeploy),
		removePath:        taking(s, NewRemove),
		pausePath:         taking(s, NewPause),
		stopPath:          taking(s, NewStop),
		resumePath:        taking(s, zero[Resume]),
		rolloutDeployPath: taking(s, NewRolloutDeploy),
		rolloutSetPath:    taking(s, zero[RolloutSet]),
		rolloutStopPath:   taking(s, zero[RolloutStop]),
		listPath:          {http.MethodGet, s.list},
		upgradePath:       {http.MethodPost, s.upgrade},
	}
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          stdlog.New(complaints{config.Log}, "", 0),
	}
	return s
}

func zero[A any]() (none A) { return none }

// Serve answers on l until Shutdown or Leave, and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	s.listen(l)
	err := s.http.Serve(&guarded{Listener: l, allowed: ownUserOrRoot, log: s.config.Log})
	if errors.Is(err, http.ErrServerClosed) || s.left.Load() {
		return nil
	}
	return fmt.Errorf("the control socket ended: %w", err)
}

// Shutdown takes no more orders, removes the socket, and waits until those
// under way have been answered, or ctx ends; then it hangs up. Orders are
// answered at once when the registry ends.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) { // by Leave
		s.http.Close()
		return fmt.Errorf("orders under way were left without an answer: %w", err)
	}
	return nil
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	e, known := s.endpoints[r.URL.Path]
	switch {
	case s.left.Load():
		refuse(w, http.StatusServiceUnavailable, errMoved)
	case !known:
		refuse(w, http.StatusNotFound, fmt.Errorf("this kamal-proxy knows no order %q", r.URL.Path))
	case r.Method != e.method:
		w.Header().Set("Allow", e.method)
		refuse(w, http.StatusMethodNotAllowed, fmt.Errorf("%s takes %s, not %s", r.URL.Path, e.method, r.Method))
	default:
		e.serve(w, r)
	}
}

// taking makes an endpoint of a kind of order: it reads one over the defaults,
// checks it, loads its files, and gives it to the registry.
func taking[A order](s *Server, defaults func() A) endpoint {
	return endpoint{http.MethodPost, func(w http.ResponseWriter, r *http.Request) {
		args := defaults()
		if status, err := read(w, r, &args); err != nil {
			refuse(w, status, err)
			return
		}
		caller := newCaller()
		message, err := s.prepare(args, caller.asker())
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		s.config.Registry.Tell(message)
		caller.follow(w, r, s.config.Registry.Stopped())
	}}
}

func (s *Server) prepare(args order, asker *service.Asker) (registry.Message, error) {
	if err := args.Validate(); err != nil {
		return nil, err
	}
	return args.message(asker, s.config.Load)
}

// read takes one JSON object from the request into args, or says with which
// status it is refused.
func read(w http.ResponseWriter, r *http.Request, args any) (status int, err error) {
	conn := http.NewResponseController(w)
	conn.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	conn.SetReadDeadline(time.Time{})

	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, fmt.Errorf("an order has at most %d bytes", maxBody)
	case err != nil:
		return http.StatusBadRequest, fmt.Errorf("the order did not arrive: %w", err)
	}
	if err := decode(body, args); err != nil {
		return http.StatusBadRequest, fmt.Errorf("the order is not what %s takes: %w", r.URL.Path, err)
	}
	return 0, nil
}

func decode(body []byte, args any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(args); err == io.EOF {
		return errors.New("it is empty")
	} else if err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more than one JSON object")
	}
	return nil
}

// refuse answers an order that was not accepted.
func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(failure(err))
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	reply := system.NewReply[store.Snapshot]()
	s.config.Registry.Tell(registry.List{Reply: reply})
	snapshot, err := reply.Wait(r.Context(), s.config.Registry.Stopped())
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	listed := rows(snapshot)
	if r.URL.Query().Has(withHealth) {
		s.examine(r.Context(), listed)
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(listed)
}

// examine asks each service how its targets are. All are asked before the
// first is waited for; what does not answer in time is left out.
func (s *Server) examine(ctx context.Context, listed []Row) {
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	asked := make([]registry.Inspect, len(listed))
	for i := range listed {
		asked[i] = registry.Inspect{
			Service: listed[i].Service,
			Inspect: service.Inspect{Reply: system.NewReply[[]service.Condition]()},
		}
		s.config.Registry.Tell(asked[i])
	}
	for i := range listed {
		listed[i].Health, _ = asked[i].Wait(ctx, s.config.Registry.Stopped())
	}
}

// complaints are what net/http has to say about connections.
type complaints struct{ log zerolog.Logger }

func (c complaints) Write(p []byte) (int, error) {
	c.log.Warn().Str("error", string(bytes.TrimSpace(p))).Msg("Control connection failed")
	return len(p), nil
}
