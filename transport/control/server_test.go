package control

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

// ask sends one request by hand.
func ask(t *testing.T, d *daemon, method, path, body string) (status int, said string) {
	t.Helper()
	r, err := http.NewRequestWithContext(testContext(t), method, "http://kamal-proxy"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := d.Client.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(all)
}

func TestHandWrittenOrder(t *testing.T) {
	d := start(t, obey, nil)
	status, said := ask(t, d, "POST", "/v1/deploy", `{"service":"shop","target":["web"],"drain_timeout":5000000000}`)
	if status != 200 || said != "{\"done\":true}\n" {
		t.Errorf("got %d %q", status, said)
	}
	deploy := d.only(t).(registry.Order).Order.(*service.Deploy)
	want := spec.Deployment{DeployTimeout: 30 * time.Second, DrainTimeout: 5 * time.Second}
	if deploy.How != want || !deploy.Options.TLSRedirect || deploy.TargetOptions.MaxMemoryBufferSize != 1<<20 {
		t.Errorf("defaults are missing: %+v", deploy)
	}
}

func TestWrongOrdersAreRefused(t *testing.T) {
	d := start(t, obey, nil)
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/v1/deploy", ``, 400, "it is empty"},
		{"POST", "/v1/deploy", `null`, 400, "has no name"},
		{"POST", "/v1/deploy", `[1]`, 400, "cannot unmarshal"},
		{"POST", "/v1/deploy", `{"service":`, 400, "unexpected EOF"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"]} {}`, 400, "more than one"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"],"colour":"red"}`, 400, `unknown field \"colour\"`},
		{"POST", "/v1/deploy", `{"service":"a"}`, 400, "no target is given"},
		{"POST", "/v1/deploy", `{"service":"a","target":[":80"]}`, 400, ":80 :invalid host pattern"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"],"deploy_timeout":-1}`, 400, "deploy-timeout is -1ns"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"],"deploy_timeout":"30s"}`, 400, "cannot unmarshal string"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"],"health_check_interval":0}`, 400, "health-check-interval is 0s"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"],"buffer_memory":-1}`, 400, "buffer-memory is -1"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"],"max_request_body":9}`, 400, "max-request-body can only be set when request buffering is enabled"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"],"max_response_body":9}`, 400, "max-response-body can only be set when response buffering is enabled"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"],"error_pages":"pages"}`, 400, "is relative"},
		{"POST", "/v1/deploy", `{"service":"a","target":["web"],"tls":true}`, 400, "host must be set when using TLS"},
		{"POST", "/v1/deploy", `{"service":"a\u0000","target":["web"]}`, 400, "cannot be printed"},
		{"POST", "/v1/rollout/deploy", `{"service":"a","target":[]}`, 400, "no target is given"},
		{"POST", "/v1/rollout/set", `{"service":"a"}`, 400, "a percent or a list"},
		{"POST", "/v1/rollout/set", `{"service":"a","percent":101}`, 400, "from 0 to 100"},
		{"POST", "/v1/rollout/set", `{"service":"a","percent":-1}`, 400, "from 0 to 100"},
		{"POST", "/v1/rollout/stop", `{}`, 400, "has no name"},
		{"POST", "/v1/pause", `{"service":"a","max_pause":-5}`, 400, "max-pause is -5ns"},
		{"POST", "/v1/stop", `{"service":"a","drain_timeout":-5}`, 400, "drain-timeout is -5ns"},
		{"POST", "/v1/resume", `{"service":""}`, 400, "has no name"},
		{"POST", "/v1/remove", `{"service":"a","drain_timeout":-5}`, 400, "drain-timeout is -5ns"},
		{"POST", "/v1/deploy", `{"service":"` + strings.Repeat("x", maxBody) + `"}`, 413, "at most 1048576 bytes"},
		{"POST", "/v1/reboot", `{}`, 404, `knows no order \"/v1/reboot\"`},
		{"POST", "/", `{}`, 404, "knows no order"},
		{"POST", "/v1/deploy/", `{}`, 404, "knows no order"},
		{"GET", "/v1/deploy", ``, 405, "takes POST"},
		{"POST", "/v1/list", ``, 405, "takes GET"},
	} {
		status, said := ask(t, d, test.method, test.path, test.body)
		var one line
		if err := json.Unmarshal([]byte(said), &one); err != nil || one.Error == "" {
			t.Errorf("%s %.80s: the answer is %q", test.path, test.body, said)
		}
		if status != test.status || !strings.Contains(said, test.want) {
			t.Errorf("%s %.80s:\ngot  %d %s\nwant %d %s", test.path, test.body, status, said, test.status, test.want)
		}
	}
	if got := d.received(); len(got) != 0 {
		t.Errorf("the registry got %v", got)
	}
}

func TestGarbageHarmsNobodyElse(t *testing.T) {
	d := start(t, obey, nil)
	for _, garbage := range []string{
		"\x00\x01\x02\x03\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"POST /v1/deploy\r\n\r\n",
		"POST /v1/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		"POST /v1/deploy HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
	} {
		conn := dial(t, d.path)
		io.WriteString(conn, garbage)
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Errorf("%q: the connection was not closed: %v", garbage, err)
		}
		if !strings.HasPrefix(string(all), "HTTP/1.1 400 ") {
			t.Errorf("%q: got %q", garbage, all)
		}
	}
	conn := dial(t, d.path)
	io.WriteString(conn, "GET /v1/list HTTP/1.1\r\nHost: x\r\nFill: "+strings.Repeat("x", 3*maxHead)+"\r\n\r\n")
	if head, _ := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(head, "HTTP/1.1 431 ") {
		t.Errorf("a huge head got %q", head)
	}
	if _, err := d.Client.List(testContext(t)); err != nil {
		t.Errorf("after the garbage: %v", err)
	}
}

func TestHalfAHeadIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	d := start(t, obey, nil)
	conn := dial(t, d.path)
	io.WriteString(conn, "POST /v1/deploy HTTP/1.1\r\nHost:")
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the connection was not closed: %v", err)
	}
}

func TestListRows(t *testing.T) {
	options := spec.DefaultOptions()
	shop := &spec.Record{
		Name: "shop", Options: options, TargetOptions: spec.DefaultTargetOptions(),
		ActiveTargets: []string{"w:1"}, ActiveReaders: []string{"r:1", "r:2"},
		PauseController: spec.Gate{State: spec.Stopped, StopMessage: "Back <soon>"},
	}
	d := start(t, func(m registry.Message) { m.(registry.List).Answer(records{shop}, nil) }, nil)
	rows, err := d.Client.List(testContext(t))
	if err != nil || len(rows) != 1 {
		t.Fatalf("got %v, %v", rows, err)
	}
	got := rows[0]
	if got.Record == nil || got.Record.PauseController.StopMessage != "Back <soon>" || got.Record.TargetOptions.HealthCheck.Path != "/up" {
		t.Errorf("the record is %+v", got.Record)
	}
	got.Record = nil
	if s := fmt.Sprint(got); s != "{shop [*] [/] [w:1 r:1 r:2] stopped false [] <nil>}" {
		t.Errorf("got %s", s)
	}
}

// A service that is gone meanwhile, or does not answer, is listed all the same.
func TestListWithHealth(t *testing.T) {
	since := time.Now().Round(0).UTC()
	d := start(t, func(m registry.Message) {
		switch m := m.(type) {
		case registry.List:
			m.Answer(records{{Name: "api"}, {Name: "shop"}}, nil)
		case registry.Inspect:
			if m.Service == "api" {
				m.Answer(nil, registry.ErrNotFound)
				return
			}
			m.Answer([]service.Condition{{Target: "w:1", Role: service.Writer, Health: service.Failing, Since: &since, Error: "refused", Failures: 2, InFlight: 1}}, nil)
		}
	}, nil)
	rows, err := d.Client.Examine(testContext(t))
	if err != nil || len(rows) != 2 || len(rows[0].Health) != 0 || len(rows[1].Health) != 1 {
		t.Fatalf("got %v, %v", rows, err)
	}
	got := rows[1].Health[0]
	if got.Since == nil || !got.Since.Equal(since) {
		t.Errorf("it fails since %v, want %v", got.Since, since)
	}
	got.Since = nil
	if want := (service.Condition{Target: "w:1", Role: service.Writer, Health: service.Failing, Error: "refused", Failures: 2, InFlight: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestListOfNothingIsAnArray(t *testing.T) {
	d := start(t, obey, nil)
	if status, said := ask(t, d, "GET", "/v1/list", ""); status != 200 || said != "[]\n" {
		t.Errorf("got %d %q", status, said)
	}
}

func TestShutdownWaitsForOrdersAndRemovesTheSocket(t *testing.T) {
	came := make(chan *service.Asker, 1)
	d := start(t, func(m registry.Message) { came <- askerOf(m) }, nil)
	paused := make(chan error, 1)
	go func() { paused <- d.Client.Pause(testContext(t), Pause{Service: "shop"}, nil) }()
	asker := <-came

	down := make(chan error, 1)
	go func() { down <- d.Server.Shutdown(testContext(t)) }()
	if err := <-d.served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	d.served <- nil // for the clean-up
	if err := d.Client.Resume(testContext(t), Resume{"shop"}, nil); err == nil || !strings.Contains(err.Error(), "not running") {
		t.Errorf("during the shutdown: %v", err)
	}
	select {
	case <-down:
		t.Fatal("Shutdown did not wait for the order")
	default:
	}
	asker.Answer(struct{}{}, nil)
	if err := <-down; err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	if err := <-paused; err != nil {
		t.Errorf("the order was answered %v", err)
	}
}

func TestShutdownHangsUpInTheEnd(t *testing.T) {
	came := make(chan *service.Asker, 1)
	d := start(t, func(m registry.Message) { came <- askerOf(m) }, nil)
	paused := make(chan error, 1)
	go func() { paused <- d.Client.Pause(testContext(t), Pause{Service: "shop"}, nil) }()
	<-came
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Server.Shutdown(gone); err == nil {
		t.Error("Shutdown left an order without an answer and said nothing")
	}
	if err := <-paused; err == nil || !strings.Contains(err.Error(), "ended before it had answered") {
		t.Errorf("the caller was told %v", err)
	}
}

func TestRegistryThatEndsAnswersOrders(t *testing.T) {
	came := make(chan struct{})
	d := start(t, func(registry.Message) { close(came) }, nil)
	paused := make(chan error, 1)
	go func() { paused <- d.Client.Pause(testContext(t), Pause{Service: "shop"}, nil) }()
	wait(t, "the order", came)
	d.registry.Stop()
	if err := <-paused; err == nil || err.Error() != "the proxy is shutting down" {
		t.Errorf("got %v", err)
	}
}
