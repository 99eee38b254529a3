package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/registry"
)

// startUpgradable runs a daemon with an Upgrader.
func startUpgradable(t *testing.T, upgrade Upgrader) *daemon {
	t.Helper()
	d := start(t, obey, nil)
	d.Server.config.Upgrade = upgrade
	return d
}

func TestUpgradeTellsItsStepsAndItsEnd(t *testing.T) {
	var asked string
	var limit *time.Duration
	d := startUpgradable(t, func(order Upgrade, told Progress) error {
		asked, limit = order.Binary, order.Timeout
		told(Step{Stage: Starting, Detail: order.Binary})
		if order.Binary == "" {
			return errors.New("no luck")
		}
		told(Step{Stage: Serving, Detail: "it serves"})
		return nil
	})
	var steps []string
	told := func(s Step) { steps = append(steps, string(s.Stage)+" "+s.Detail) }
	if err := d.Upgrade(testContext(t), Upgrade{Binary: "/x/y"}, told); err != nil || asked != "/x/y" {
		t.Errorf("asked for %q, %v", asked, err)
	}
	if got := strings.Join(steps, ", "); got != "starting /x/y, serving it serves" {
		t.Errorf("told %s", got)
	}
	if err := d.Upgrade(testContext(t), Upgrade{}, nil); err == nil || err.Error() != "no luck" {
		t.Errorf("got %v", err)
	}
	asked = "nothing"
	if err := d.Upgrade(testContext(t), Upgrade{Binary: "x/y"}, nil); err == nil || !strings.Contains(err.Error(), "absolute") || asked != "nothing" {
		t.Errorf("a relative path: asked for %q, %v", asked, err)
	}
	minute, negative := time.Minute, -time.Second
	if err := d.Upgrade(testContext(t), Upgrade{Binary: "/x/y", Timeout: &minute}, nil); err != nil || limit == nil || *limit != minute {
		t.Errorf("with a time of its own: %v, %v", limit, err)
	}
	if err := d.Upgrade(testContext(t), Upgrade{Binary: "/x/y", Timeout: &negative}, nil); err == nil || !strings.Contains(err.Error(), "0 or longer") {
		t.Errorf("a negative time: %v", err)
	}
	d.Server.config.Upgrade = nil
	if err := d.Upgrade(testContext(t), Upgrade{}, nil); !strings.Contains(fmt.Sprint(err), "cannot be upgraded") {
		t.Errorf("without an upgrader: %v", err)
	}
}

// An upgrade's own answer is not cut off by the end of the process that gives it.
func TestUpgradeIsAnsweredWhileTheServerEnds(t *testing.T) {
	goOn := make(chan struct{})
	var d *daemon
	d = startUpgradable(t, func(Upgrade, Progress) error {
		d.Leave()
		close(goOn)
		return nil
	})
	answer := make(chan error, 1)
	go func() { answer <- d.Upgrade(testContext(t), Upgrade{}, nil) }()
	wait(t, "the upgrade", goOn)
	if err := d.Server.Shutdown(testContext(t)); err != nil {
		t.Error(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("the upgrade was answered with %v", err)
	}
}

// Whoever meets a daemon that has left finds its successor at the same socket.
func TestOrdersFollowADaemonThatHasMoved(t *testing.T) {
	first := start(t, obey, nil)
	early := dial(t, first.path) // accepted by the first: its backlog is empty when this is answered
	fmt.Fprint(early, "GET /v1/list HTTP/1.1\r\nHost: x\r\n\r\n")
	answers := bufio.NewReader(early)
	if response, err := http.ReadResponse(answers, nil); err != nil || response.StatusCode != 200 {
		t.Fatalf("%+v, %v", response, err)
	} else {
		io.Copy(io.Discard, response.Body)
	}

	first.Server.mu.Lock()
	file, err := first.Server.listener.(*Socket).File()
	first.Server.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	first.Leave()
	fmt.Fprint(early, "POST /v1/resume HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n{\"service\":\"shop\"}")
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(response.Body); response.StatusCode != 503 || !strings.Contains(string(body), `"moved":true`) {
		t.Errorf("a daemon that has left answers %d, %s", response.StatusCode, body)
	}

	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	second := NewServer(Config{Registry: first.registry, Load: first.Server.config.Load, Log: zerolog.Nop()})
	served := make(chan error, 1)
	go func() { served <- second.Serve(l) }()
	if err := first.Resume(testContext(t), Resume{"shop"}, nil); err != nil {
		t.Errorf("an order to the successor: %v", err)
	}
	if err := second.Shutdown(testContext(t)); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestClientFollowsSoOftenAndNoMore(t *testing.T) {
	var asked atomic.Int64
	var left int64
	d := start(t, func(m registry.Message) {
		if asked.Add(1) <= left {
			askerOf(m).Answer(struct{}{}, fmt.Errorf("the registry: %w", registry.ErrMoved))
			return
		}
		obey(m)
	}, nil)
	left = 3
	if err := d.Resume(testContext(t), Resume{"shop"}, nil); err != nil || asked.Load() != 4 {
		t.Errorf("asked %d times, %v, want 4 and success", asked.Load(), err)
	}
	left = 1 << 30
	asked.Store(0)
	if err := d.Resume(testContext(t), Resume{"shop"}, nil); !errors.Is(err, registry.ErrMoved) || asked.Load() != moves {
		t.Errorf("asked %d times, %v, want %d and ErrMoved", asked.Load(), err, moves)
	}
}
