package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/healthcheck"
	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
)

func TestFailedDeployTellsWhy(t *testing.T) {
	for name, c := range map[string]struct {
		result healthcheck.Result
		takes  time.Duration
		want   []string
	}{
		"refused":   {refused, 0, []string{"bad:80 refused the connection (", "times)", "Nothing listens there"}},
		"500":       {healthcheck.Result{Status: 500, Detail: "Internal Server Error"}, time.Millisecond, []string{"bad:80 answered 500 Internal Server Error for GET /up (30 times)", "The app itself fails: see its log."}},
		"redirect":  {healthcheck.Result{Status: 301, Detail: "Moved Permanently", Location: "https://bad/up"}, 0, []string{"answered 301 Moved Permanently to https://bad/up for GET /up", "without a redirect", "force_ssl"}},
		"not found": {healthcheck.Result{Status: 404, Detail: "Not Found"}, 0, []string{"answered 404", "--health-check-path"}},
		"host":      {healthcheck.Result{Status: 403, Detail: "Forbidden"}, 0, []string{"answered 403", "--health-check-host"}},
		"login":     {healthcheck.Result{Status: 401, Detail: "Unauthorized"}, 0, []string{"answered 401", "no credentials"}},
		"time":      {ok, time.Minute, []string{"did not answer within 5s", "--health-check-timeout (now 5s)"}},
		"name":      {healthcheck.Result{Kind: healthcheck.NoSuchHost}, 0, []string{"does not resolve", "same network"}},
		"else":      {healthcheck.Result{Kind: healthcheck.Failed, Detail: "EOF"}, 0, []string{"bad:80 failed: EOF"}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.app("bad:80").set(c.result)
				w.app("bad:80").takes = c.takes
				d := w.deploy("web", to("good:80", "bad:80"))
				w.pass(30*time.Second - 1)
				d.wantWaiting()
				w.pass(1)
				d.wantError(append(c.want, "target failed to become healthy within configured timeout (30s)")...)
				if strings.Contains(d.err.Error(), "good:80") {
					t.Errorf("%q blames the target that is healthy", d.err)
				}
				var why *service.DeployError
				if !errors.As(d.err, &why) || len(why.Targets) != 1 || why.Targets[0].Target != "bad:80" || why.Targets[0].Path != "/up" {
					t.Errorf("the error does not say which target it is: %#v", d.err)
				}
			})
		})
	}
}

func TestDiagnosisTellsWhatChanged(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		d := w.deploy("web", to("bad:80"), within(3*time.Second))
		w.pass(120 * time.Millisecond)
		w.app("bad:80").set(healthcheck.Result{Status: 503})
		w.pass(3 * time.Second)
		d.wantError("(3s)\n", "bad:80 refused the connection (3 times), then answered 503 for GET /up (3 times)\n", "see its log")
	})
}

func TestDiagnosisOfATargetThatHasNotAnsweredYet(t *testing.T) {
	play(t, func(w *world) {
		w.app("slow:80").takes = 4 * time.Second
		d := w.deploy("web", to("slow:80"), within(time.Second))
		w.pass(time.Second)
		d.wantError("configured timeout (1s)", "has not answered its first check of /up yet", "--deploy-timeout")
	})
}

func TestOneCheckDecidesWithoutDeployTimeout(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		w.deploy("web", to("bad:80"), within(0)).wantError("configured timeout (0s)", "bad:80 refused the connection\n")
		if n := w.app("bad:80").times(); n != 1 {
			t.Errorf("it was checked %d times", n)
		}
		w.app("slow:80").takes = 2 * time.Second
		d := w.deploy("web", to("slow:80", "quick:80"), within(0)).wantWaiting()
		w.pass(2 * time.Second)
		d.wantOK()
	})
}

func TestFailedFirstDeployLeavesNothing(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		running := w.system.Running()
		d := w.deploy("web", to("bad:80"), hosts("shared.test"))
		w.pause("web", 0, 0).wantErr(registry.ErrNotFound)
		w.remove("web", 0).wantErr(registry.ErrNotFound)
		w.pass(30 * time.Second)
		d.wantError("failed to become healthy")
		w.wantList("")
		for _, o := range []*order{w.pause("web", 0, 0), w.resume("web"), w.stop("web", ""), w.split("web", 1), w.deploy("web", toRollout), w.remove("web", 0)} {
			o.wantErr(registry.ErrNotFound).wantError("service not found")
		}
		if n := w.system.Running(); n != running {
			t.Errorf("%d actors live on", n-running)
		}
		if len(w.forgotten) != 1 || w.disk.saves != 0 {
			t.Errorf("forgotten: %v, saves: %d", w.forgotten, w.disk.saves)
		}
		w.deployed("other", hosts("shared.test"))
	})
}

// A deploy that comes while the first one fails finds the service, or makes it
// again, but is never lost.
func TestDeployWhileTheFirstFails(t *testing.T) {
	play(t, func(w *world) {
		w.app("bad:80").set(refused)
		first := w.deploy("web", to("bad:80"))
		second := w.deploy("web", to("good:80"))
		w.pass(30 * time.Second)
		first.wantError("failed to become healthy")
		second.wantOK()
		w.ask("web.test", "/").wantTarget("good:80").done()
	})
}

func TestFailedLaterDeployChangesNothing(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		saves := w.disk.saves
		w.app("bad:80").set(refused)
		d := w.deploy("web", to("bad:80"), hosts("elsewhere.test"), withTLS)
		under := w.ask("web.test", "/").wantTarget("v1:80")
		w.pass(30 * time.Second)
		d.wantError("failed to become healthy")
		under.wantUncut()
		under.done()
		w.ask("web.test", "/").wantTarget("v1:80").done()
		w.ask("elsewhere.test", "/").wantStatus(404)
		w.wantList("web web.test v1:80 running")
		if w.disk.saves != saves {
			t.Error("it was saved")
		}
		checks := w.app("bad:80").times()
		w.pass(time.Minute)
		if w.app("bad:80").times() != checks {
			t.Error("a refused target is checked for ever")
		}
	})
}

func TestTargetThatCannotBeConnected(t *testing.T) {
	play(t, func(w *world) {
		w.app("odd:80").refuse = errors.New("odd:80 is no target")
		w.deploy("web", to("fine:80", "odd:80")).wantError("odd:80 is no target")
		w.deploy("web", to()).wantError("no target was given")
		w.deployed("web")
	})
}

func TestDeployWhosePartsPanic(t *testing.T) {
	play(t, func(w *world) {
		w.deployed("web", to("v1:80"))
		w.app("odd:80").breaks = true
		w.deploy("web", to("fine:80", "odd:80")).wantError("odd:80")
		w.deploy("web", to("v2:80")).wantOK()
		w.ask("web.test", "/").wantTarget("v2:80").done()
	})
}
