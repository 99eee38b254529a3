package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestAccessLogLine(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "web", "--host", "a.example", "--target", a.target(),
		"--log-request-header", "X-Custom", "--log-response-header", "X-App", "--log-response-header", "X-None")
	request, err := http.NewRequest(http.MethodPost, d.url("/some%20path?q=1;2"), strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "A.example:8080"
	request.Header.Set("Content-Type", "text/x")
	request.Header.Set("User-Agent", "tester")
	request.Header.Set("X-Request-ID", "id-1")
	request.Header.Add("X-Custom", "one")
	request.Header.Add("X-Custom", "two")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()

	line := awaitRequest(t, d)
	keys := []string{"time", "level", "msg", "host", "port", "path", "request_id", "status", "service", "target", "duration", "method",
		"req_content_length", "req_content_type", "resp_content_length", "resp_content_type", "client_addr", "client_port", "remote_addr",
		"user_agent", "proto", "scheme", "query", "req_x_custom", "resp_x_app", "resp_x_none"}
	var order []string
	for _, m := range regexp.MustCompile(`[{,]"([a-z_]+)":`).FindAllStringSubmatch(line, -1) {
		order = append(order, m[1])
	}
	if fmt.Sprint(order) != fmt.Sprint(keys) {
		t.Errorf("keys\n%v, want\n%v", order, keys)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"level": "INFO", "msg": "Request", "port": float64(d.http), "path": "/some path", "request_id": "id-1",
		"status": 200.0, "service": "web", "target": a.target(), "method": "POST", "req_content_length": 4.0, "req_content_type": "text/x",
		"resp_content_length": 1.0, "client_addr": "127.0.0.1", "remote_addr": "127.0.0.1", "user_agent": "tester",
		"proto": "HTTP/1.1", "scheme": "http", "query": "q=1;2", "req_x_custom": "one,two", "resp_x_app": "a", "resp_x_none": "",
	} {
		if fields[key] != want {
			t.Errorf("%s is %#v, want %#v", key, fields[key], want)
		}
	}
	if _, isText := fields["client_port"].(string); !isText {
		t.Errorf("client_port is %T, want a string", fields["client_port"])
	}
}

// awaitRequest returns the first access log line.
func awaitRequest(t *testing.T, d *daemon) (line string) {
	t.Helper()
	eventually(t, "the request is logged", func() error {
		for _, line = range d.log.lines() {
			if strings.Contains(line, `"msg":"Request"`) {
				return nil
			}
		}
		return fmt.Errorf("no line")
	})
	return line
}

func TestEveryLineOfTheLogIsJSON(t *testing.T) {
	d := startDaemon(t, "--debug")
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.get("any.host", "/")
	d.must("pause", "web")
	d.must("remove", "web")
	d.stop()
	for _, line := range d.log.lines() {
		if line == "" {
			continue
		}
		var fields struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields.Time == "" || fields.Msg == "" ||
			fields.Level == "" || fields.Level != strings.ToUpper(fields.Level) {
			t.Errorf("%v: %s", err, line)
		}
	}
	if !strings.Contains(d.log.String(), `"DEBUG"`) {
		t.Error("--debug adds no DEBUG lines")
	}
}

func TestMetrics(t *testing.T) {
	port := strings.Split(closedPort(t), ":")[1]
	d := startDaemon(t, "--metrics-port", port)
	a := startApp(t, "a")
	d.must("deploy", "web", "--target", a.target())
	d.get("any.host", "/")
	eventually(t, "the request is counted", func() error {
		body, err := fetch(http.DefaultClient, "http://127.0.0.1:"+port+"/metrics")
		if err != nil {
			return err
		}
		for _, want := range []string{
			`kamal_proxy_http_requests_total{method="GET",service="web",status="200"} 1`,
			`kamal_proxy_http_request_duration_seconds_count{method="GET",service="web",status="200"} 1`,
			`kamal_proxy_http_in_flight_requests{service="web"} 0`,
		} {
			if !strings.Contains(body, want) {
				return fmt.Errorf("no %s", want)
			}
		}
		return nil
	})
}

// Whoever reads the log may die; the proxy, and its requests, go on.
func TestLogNobodyReadsAnyMore(t *testing.T) {
	d := &daemon{t: t, home: shortTempDir(t)}
	log, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd = exec.Command(program, "run", "--http-port", "0", "--https-port", "0")
	d.cmd.Env, d.cmd.Stdout = d.environment(), stdout
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer d.cmd.Wait()
	defer d.cmd.Process.Kill()
	stdout.Close()
	for lines := bufio.NewScanner(log); d.http == 0 && lines.Scan(); {
		var started struct{ HTTP int }
		json.Unmarshal(lines.Bytes(), &started)
		d.http = started.HTTP
	}
	log.Close()

	a := startApp(t, "a")
	for range 5 { // a line about each is written at once
		d.must("deploy", "web", "--target", a.target())
		if _, body := d.get("web.example", "/"); body != "a" {
			t.Fatalf("it answers %q", body)
		}
	}
}
