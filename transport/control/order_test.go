package control

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

func TestOrdersReachTheRegistry(t *testing.T) {
	percent := 25
	rollout, err := spec.NewRollout(25, []string{"anna"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		order func(context.Context, *Client) error
		want  registry.Message
	}{
		{"remove",
			func(ctx context.Context, c *Client) error { return c.Remove(ctx, Remove{"shop", time.Second}, nil) },
			registry.Remove{Service: "shop", DrainTimeout: time.Second}},
		{"pause",
			func(ctx context.Context, c *Client) error {
				return c.Pause(ctx, Pause{"shop", time.Second, time.Minute}, nil)
			},
			registry.Order{Service: "shop", Order: &service.Pause{DrainTimeout: time.Second, MaxPause: time.Minute}}},
		{"stop",
			func(ctx context.Context, c *Client) error {
				return c.Stop(ctx, Stop{"shop", time.Second, "Hi, ü"}, nil)
			},
			registry.Order{Service: "shop", Order: &service.Stop{DrainTimeout: time.Second, Message: "Hi, ü"}}},
		{"resume",
			func(ctx context.Context, c *Client) error { return c.Resume(ctx, Resume{"shop"}, nil) },
			registry.Order{Service: "shop", Order: &service.Resume{}}},
		{"rollout deploy",
			func(ctx context.Context, c *Client) error {
				return c.RolloutDeploy(ctx, RolloutDeploy{"shop", []string{"w"}, []string{"r:1"}, time.Second, time.Minute}, nil)
			},
			registry.Order{Service: "shop", Order: &service.Deploy{
				Slot: service.Rollout, Targets: []string{"w"}, Readers: []string{"r:1"},
				How: spec.Deployment{DeployTimeout: time.Second, DrainTimeout: time.Minute},
			}}},
		{"rollout set",
			func(ctx context.Context, c *Client) error {
				return c.RolloutSet(ctx, RolloutSet{"shop", &percent, []string{"anna"}}, nil)
			},
			registry.Order{Service: "shop", Order: &service.Split{Rollout: rollout}}},
		{"rollout stop",
			func(ctx context.Context, c *Client) error { return c.RolloutStop(ctx, RolloutStop{"shop"}, nil) },
			registry.Order{Service: "shop", Order: &service.Split{}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := start(t, obey, nil)
			if err := test.order(testContext(t), d.Client); err != nil {
				t.Fatal(err)
			}
			if got := withoutAsker(d.only(t)); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// withoutAsker makes orders comparable.
func withoutAsker(m registry.Message) registry.Message {
	switch m := m.(type) {
	case registry.Remove:
		m.Asker = nil
		return m
	case registry.Order:
		switch o := m.Order.(type) {
		case *service.Deploy:
			o.Asker = nil
		case *service.Pause:
			o.Asker = nil
		case *service.Stop:
			o.Asker = nil
		case *service.Resume:
			o.Asker = nil
		case *service.Split:
			o.Asker = nil
		}
	}
	return m
}

func TestDeployIsNormalizedAndLoaded(t *testing.T) {
	pages := "the pages"
	var loaded spec.Options
	d := start(t, obey, func(o spec.Options) (service.Assets, error) {
		loaded = o
		return service.Assets{Pages: pages}, nil
	})
	order := NewDeploy()
	order.Service = "shop"
	order.Targets = []string{"web-1:3000", "web-2"}
	order.Hosts = []string{" Shop.Example.COM"}
	order.PathPrefixes = []string{"/api/"}
	order.ErrorPages = "/pages"
	order.HealthCheckPath = "up?x=1"
	order.TLSStaging = true
	if err := d.Client.Deploy(testContext(t), order, nil); err != nil {
		t.Fatal(err)
	}

	got := d.only(t).(registry.Order)
	deploy := got.Order.(*service.Deploy)
	options, targets := spec.DefaultOptions(), spec.DefaultTargetOptions()
	options.Hosts, options.PathPrefixes, options.ErrorPagePath = []string{"shop.example.com"}, []string{"/api"}, "/pages"
	options.ACMEDirectory = "https://acme-staging-v02.api.letsencrypt.org/directory"
	targets.HealthCheck.Path = "/up?x=1"
	want := &service.Deploy{
		Slot: service.Active, Options: options, TargetOptions: targets,
		Targets: []string{"web-1:3000", "web-2"},
		How:     spec.Deployment{DeployTimeout: 30 * time.Second, DrainTimeout: 30 * time.Second},
		Assets:  service.Assets{Pages: pages},
	}
	deploy.Asker = nil
	if got.Service != "shop" || !reflect.DeepEqual(deploy, want) {
		t.Errorf("got  %+v\nwant %+v", deploy, want)
	}
	if !reflect.DeepEqual(loaded, options) {
		t.Errorf("Load was given %+v", loaded)
	}
}

func TestForwardHeadersFollowTLS(t *testing.T) {
	yes := true
	for _, test := range []struct {
		tls   bool
		given *bool
		want  bool
	}{{false, nil, true}, {true, nil, false}, {true, &yes, true}} {
		order := NewDeploy()
		order.Service, order.Targets, order.Hosts = "shop", []string{"web"}, []string{"a.example"}
		order.TLS, order.ForwardHeaders = test.tls, test.given
		record, err := order.record()
		if err != nil {
			t.Fatal(err)
		}
		if got := record.TargetOptions.ForwardHeaders; got != test.want {
			t.Errorf("tls %v, given %v: forward headers are %v", test.tls, test.given, got)
		}
	}
}

func TestFilesThatDoNotLoadRefuseTheDeploy(t *testing.T) {
	d := start(t, obey, func(spec.Options) (service.Assets, error) {
		return service.Assets{}, errors.New("unable to load error pages")
	})
	order := NewDeploy()
	order.Service, order.Targets = "shop", []string{"web"}
	err := d.Client.Deploy(testContext(t), order, nil)
	if err == nil || err.Error() != "unable to load error pages" {
		t.Errorf("got %v", err)
	}
	if got := d.received(); len(got) != 0 {
		t.Errorf("the registry got %v", got)
	}
}

func TestProgressComesInOrderBeforeTheEnd(t *testing.T) {
	steps := []Step{
		{Stage: Checking, Target: "web:80", Detail: "refused the connection", Elapsed: time.Millisecond},
		{Stage: Healthy, Target: "web:80", Elapsed: time.Second},
		{Stage: Draining, InFlight: 3},
	}
	for _, end := range []error{nil, errors.New("target failed to become healthy within configured timeout (30s)\n  web:80 answered 500")} {
		d := start(t, func(m registry.Message) {
			for _, s := range steps {
				askerOf(m).Notify(s)
			}
			askerOf(m).Answer(struct{}{}, end)
		}, nil)
		var got []Step
		err := d.Client.Pause(testContext(t), Pause{Service: "shop"}, func(s Step) { got = append(got, s) })
		if (err == nil) != (end == nil) || err != nil && err.Error() != end.Error() {
			t.Errorf("got error %v, want %v", err, end)
		}
		if !reflect.DeepEqual(got, steps) {
			t.Errorf("got %+v", got)
		}
	}
}

func TestOrderGoesOnWhenItsCallerLeaves(t *testing.T) {
	came, left := make(chan *service.Asker, 1), make(chan struct{})
	d := start(t, func(m registry.Message) { came <- askerOf(m) }, nil)
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		defer close(left)
		err := d.Client.Pause(ctx, Pause{Service: "shop"}, nil)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "goes on") {
			t.Errorf("the caller was told %v", err)
		}
	}()
	asker := <-came
	cancel()
	wait(t, "the caller to leave", left)
	for range 10_000 {
		asker.Notify(Step{Stage: Draining, InFlight: 1})
	}
	if !asker.Answer(struct{}{}, nil) {
		t.Error("the order was answered by somebody else")
	}
	// The next caller is served.
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.Client.Resume(testContext(t), Resume{"shop"}, nil); err != nil {
			t.Error(err)
		}
	}()
	(<-came).Answer(struct{}{}, nil)
	wait(t, "the next caller", done)
}

func TestCallerThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	came := make(chan *service.Asker, 1)
	d := start(t, func(m registry.Message) { came <- askerOf(m) }, nil)
	conn := dial(t, d.path)
	body := `{"service":"shop"}`
	if _, err := conn.Write([]byte("POST /v1/pause HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n" + body)); err != nil {
		t.Fatal(err)
	}
	asker := <-came
	detail := strings.Repeat("x", 1000)
	told := make(chan struct{})
	go func() {
		defer close(told)
		for range 10_000 { // far more than a socket holds
			asker.Notify(Step{Stage: Checking, Detail: detail})
		}
		asker.Answer(struct{}{}, nil)
	}()
	wait(t, "the order, which must not wait for its caller", told)
}

func TestNothingIsKeptForACallerThatLeft(t *testing.T) {
	c := newCaller()
	c.notify(Step{Stage: Queued})
	c.leave()
	c.notify(Step{Stage: Healthy})
	if kept := c.take(); len(kept) != 0 {
		t.Errorf("it keeps %v", kept)
	}
}
