package registry_test

import (
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/service"
)

// Whoever reads the log at night was not the one who gave the orders.
func TestOrdersAreLogged(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.wantLogged(`"level":"info"`, `"service":"web"`, `"targets":["v1:80"]`, "Deployed")
		w.pause("web", 0, time.Minute).wantOK()
		w.wantLogged(`"level":"info"`, `"service":"web"`, `"max_pause":"1m0s"`, "Paused")
		w.stop("web", "back soon").wantOK()
		w.wantLogged(`"level":"info"`, `"service":"web"`, `"message":"back soon"`, "Stopped")
		w.resume("web").wantOK()
		w.wantLogged(`"level":"info"`, `"service":"web"`, "Resumed")
		w.deployed("web", toRollout, to("v2:80"))
		w.split("web", 20, "ann", "bob").wantOK()
		w.wantLogged(`"level":"info"`, `"service":"web"`, `"percent":20`, `"listed":2`, "Rollout set")
		w.give("web", func(a *service.Asker) service.Order { return &service.Split{Asker: a} }).wantOK()
		w.wantLogged(`"level":"info"`, `"service":"web"`, "Rollout stopped")
		w.remove("web", 0).wantOK()
		w.wantLogged(`"level":"info"`, `"service":"web"`, "Removed")
	})
}

func TestDeployThatFailsIsLogged(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		d := w.deploy("web", to("bad:80"), within(3*time.Second))
		w.pass(3 * time.Second)
		d.wantError("healthy")
		w.wantLogged(`"level":"warn"`, `"service":"web"`, `"targets":["bad:80"]`, "refused the connection", "Deploy failed")
	})
}

func TestRequestsThatADrainCutsAreLogged(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.ask("web.test", "/")
		w.ask("web.test", "/")
		w.deploy("web", to("v2:80"), draining(time.Second))
		w.pass(time.Second)
		w.wantLogged(`"level":"warn"`, `"service":"web"`, `"requests":2`, "Requests were cut off")
	})
}

func TestDrainThatCutsNothingIsNoWarning(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		q := w.ask("web.test", "/")
		w.deploy("web", to("v2:80"), draining(time.Second))
		q.finish()
		w.pass(time.Second)
		if log := w.log.String(); strings.Contains(log, `"level":"warn"`) {
			t.Errorf("the log has a warning:\n%s", log)
		}
	})
}

func TestSaveThatFailsIsLoggedOnce(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.disk.err = errDisk
		w.pause("web", 0, time.Minute).wantErr(errDisk)
		w.wantLogged(`"level":"error"`, errDisk.Error(), "Unable to save the state")
		if n := strings.Count(w.log.String(), errDisk.Error()); n != 1 {
			t.Errorf("the log tells of it %d times", n)
		}
	})
}

// wantLogged wants a line of the log with all of these in it.
func (w *world) wantLogged(parts ...string) {
	w.Helper()
	w.settle()
line:
	for line := range strings.Lines(w.log.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue line
			}
		}
		return
	}
	w.Errorf("no line of the log has %q:\n%s", parts, w.log)
}
