package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTwentyDeploysUnderLoadLoseNothing(t *testing.T) {
	d := startDaemon(t)
	apps := []*app{startApp(t, "blue"), startApp(t, "green")}
	d.must("deploy", "web", "--target", apps[0].target())
	load := startLoad(d.url("/"), 32)
	for i := range 20 {
		load.awaitMore(t, 50)
		d.must("deploy", "web", "--target", apps[(i+1)%2].target())
	}
	load.awaitMore(t, 50)
	load.stop(t)
	if load.by["blue"] == 0 || load.by["green"] == 0 {
		t.Errorf("answers by instance: %v, want some of both", load.by)
	}
}

func TestKamalsBufferingFlagsLoseNothing(t *testing.T) {
	d := startDaemon(t)
	apps := []*app{startApp(t, "blue"), startApp(t, "green")}
	d.must("deploy", "web", "--target", apps[0].target(), "--buffer-requests", "--buffer-responses")
	load := startLoad(d.url("/"), 16)
	for i := range 6 {
		load.awaitMore(t, 50)
		d.must("deploy", "web", "--target", apps[(i+1)%2].target(), "--buffer-requests", "--buffer-responses")
	}
	load.stop(t)
}

func TestDeployReturnsAfterSlowRequestsEndedWhereTheyBegan(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	apps := []*app{startApp(t, "blue"), startApp(t, "green")}
	d.must("deploy", "web", "--target", apps[0].target())
	load := startLoad(d.url("/slow?2s"), 32)
	for i := range 2 {
		old, next := apps[i%2], apps[(i+1)%2]
		eventually(t, "requests are under way", func() error {
			if n := old.served.Load() - old.finished.Load(); n < 32 {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
		d.must("deploy", "web", "--target", next.target())
		if n := old.served.Load() - old.finished.Load(); n != 0 {
			t.Errorf("deploy returned with %d requests still on %s", n, old.name)
		}
	}
	load.stop(t)
	if served, answered := int(apps[0].served.Load()), load.by["blue"]; served != answered {
		t.Errorf("%d requests began on blue, %d were answered by it", served, answered)
	}
}

func TestDrainTimeoutCutsOffWhatIsLeft(t *testing.T) {
	d := startDaemon(t)
	old, next := startApp(t, "old"), startApp(t, "next")
	d.must("deploy", "web", "--target", old.target())
	status := make(chan int, 1)
	go func() {
		code, _ := d.get("any.host", "/slow?60s")
		status <- code
	}()
	awaitServed(t, old, 1)
	began := time.Now()
	d.must("deploy", "web", "--target", next.target(), "--drain-timeout", "300ms")
	if took := awake(began); took > 10*time.Second {
		t.Errorf("the deploy took %s", took)
	}
	if code := <-status; code != http.StatusGatewayTimeout {
		t.Errorf("the request that was cut off got %d, want 504", code)
	}
}

func TestDeploysOfOneServiceSwitchOneAfterTheOther(t *testing.T) {
	d := startDaemon(t)
	first, second := startApp(t, "first"), startApp(t, "second")
	first.healthy.Store(false)
	var done sync.WaitGroup
	done.Go(func() {
		d.must("deploy", "web", "--target", first.target(), "--health-check-interval", "50ms")
	})
	awaitChecked(t, first, 1)
	done.Go(func() { d.must("deploy", "web", "--target", second.target()) })
	awaitChecked(t, first, first.checked.Load()+5)
	if n := second.checked.Load(); n != 0 {
		t.Errorf("the second deploy's target was checked %d times before the first was done", n)
	}
	if code, _ := d.get("any.host", "/"); code != http.StatusNotFound {
		t.Errorf("the second deploy overtook the first: got %d, want 404", code)
	}
	first.healthy.Store(true)
	done.Wait()
	if _, body := d.get("any.host", "/"); body != "second" {
		t.Errorf("the last deploy is %q, want second", body)
	}
}

func TestDeploysOfDifferentServicesOverlap(t *testing.T) {
	d := startDaemon(t)
	sick, well := startApp(t, "sick"), startApp(t, "well")
	sick.healthy.Store(false)
	var done sync.WaitGroup
	done.Go(func() {
		d.must("deploy", "sick", "--host", "sick.example", "--target", sick.target(), "--health-check-interval", "50ms")
	})
	awaitChecked(t, sick, 1)
	d.must("deploy", "well", "--host", "well.example", "--target", well.target())
	if _, body := d.get("well.example", "/"); body != "well" {
		t.Errorf("got %q, want well", body)
	}
	if code, _ := d.get("sick.example", "/"); code != http.StatusNotFound {
		t.Errorf("the service whose deploy is under way answers %d", code)
	}
	sick.healthy.Store(true)
	done.Wait()
}

func TestSlowDrainDelaysNoCommand(t *testing.T) {
	d := startDaemon(t)
	old, next, last := startApp(t, "old"), startApp(t, "next"), startApp(t, "last")
	d.must("deploy", "web", "--target", old.target())
	var done sync.WaitGroup
	done.Go(func() { d.get("any.host", "/held") })
	awaitServed(t, old, 1)
	done.Go(func() { d.must("deploy", "web", "--target", next.target()) })
	eventually(t, "the switch", func() error {
		if _, body := d.get("any.host", "/"); body != "next" {
			return fmt.Errorf("still %q", body)
		}
		return nil
	})
	d.must("deploy", "web", "--target", last.target())
	d.must("deploy", "other", "--host", "other.example", "--target", next.target())
	d.must("stop", "web")
	d.must("resume", "web")
	if out, _, _ := d.run("list"); !strings.Contains(out, "web") {
		t.Errorf("list says %q", out)
	}
	d.must("remove", "other")
	if n := old.served.Load() - old.finished.Load(); n != 1 {
		t.Errorf("%d requests are on the old target, want the slow one: a command waited for the end of the drain", n)
	}
	old.release()
	done.Wait()
}

func TestRefusedDeployChangesNothing(t *testing.T) {
	d := startDaemon(t)
	good := startApp(t, "good")
	d.must("deploy", "web", "--host", "a.example", "--target", good.target())
	before, _, _ := d.run("list")
	nowhere := closedPort(t)
	d.refused("target failed to become healthy within configured timeout (500ms)",
		"deploy", "web", "--host", "a.example", "--target", nowhere, "--deploy-timeout", "500ms")
	d.refused("host is used by another service",
		"deploy", "intruder", "--host", "A.Example", "--target", good.target())
	d.refused("service not found", "remove", "intruder")
	if after, _, _ := d.run("list"); after != before {
		t.Errorf("list was\n%s\nand is\n%s", before, after)
	}
	if _, body := d.get("a.example", "/"); body != "good" {
		t.Errorf("got %q, want good", body)
	}
}

// awaitChecked waits until an app has been asked for its health so often.
func awaitChecked(t *testing.T, a *app, n int64) {
	t.Helper()
	eventually(t, a.name+" is checked", func() error {
		if checked := a.checked.Load(); checked < n {
			return fmt.Errorf("%d of %d times", checked, n)
		}
		return nil
	})
}

// awaitServed waits until an app has begun so many requests.
func awaitServed(t *testing.T, a *app, n int64) {
	t.Helper()
	eventually(t, "a request reaches "+a.name, func() error {
		if served := a.served.Load(); served < n {
			return fmt.Errorf("%d of %d", served, n)
		}
		return nil
	})
}
