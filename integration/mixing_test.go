package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Buffers are used again: nothing of one request may show up in another.
func TestRequestsDoNotMix(t *testing.T) {
	metrics := strings.Split(closedPort(t), ":")[1]
	d := startDaemon(t, "--metrics-port", metrics)
	a := startApp(t, "a", func(mux *http.ServeMux) {
		mux.HandleFunc("/mix/", func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Sent", strings.Join([]string{r.Method, r.RequestURI, r.Host, r.Header.Get("X-Mine"), r.Header.Get("X-Request-ID")}, "|"))
			w.Header().Set("Content-Type", "text/"+r.Header.Get("X-Mine"))
			if strings.HasSuffix(r.URL.Path, "7") {
				time.Sleep(time.Millisecond) // some overtake others
			}
			if strings.HasSuffix(r.URL.Path, "3") {
				w.(http.Flusher).Flush() // no Content-Length
			}
			w.Write(body)
		})
	})
	for _, flags := range [][]string{nil, buffered, append([]string{"--buffer-memory", "100", "--max-response-body", "1000000"}, buffered...)} {
		d.must(append([]string{"deploy", "web", "--target", a.target(), "--log-request-header", "X-Mine", "--log-response-header", "Content-Type"}, flags...)...)
		var all sync.WaitGroup
		for g := range 16 {
			all.Go(func() { mixed(t, d, fmt.Sprint(len(flags), "-", g)) })
		}
		all.Wait()
	}
	if _, err := fetch(http.DefaultClient, "http://127.0.0.1:"+metrics+"/metrics"); err != nil {
		t.Errorf("the metrics: %v", err)
	}
	d.stop()
	seen := 0
	for _, e := range d.requests() {
		mine := fmt.Sprint(e["req_x_mine"])
		if !strings.HasPrefix(mine, "m") {
			continue
		}
		seen++
		n := strings.TrimPrefix(mine, "m")
		if e["path"] != "/mix/"+n || e["query"] != "q="+n || e["host"] != "h"+n+".example" || e["request_id"] != "id"+n || e["resp_content_type"] != "text/"+mine {
			t.Errorf("a line is of several requests: %v", e)
		}
	}
	if seen != 3*16*100 {
		t.Errorf("%d lines were logged, want %d", seen, 3*16*100)
	}
}

// mixed sends requests that are all different, on a few connections.
func mixed(t *testing.T, d *daemon, name string) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	for i := range 100 {
		n := fmt.Sprint(name, "-", i)
		method := []string{"POST", "PUT", "PATCH", "GET", "BREW"}[i%5]
		var body string
		if method != "GET" {
			body = strings.Repeat(n+" ", []int{0, 1, 100, 2000}[i%4])
		}
		request := d.request(method, "h"+n+".example", "/mix/"+n+"?q="+n, strings.NewReader(body))
		request.Header.Set("X-Mine", "m"+n)
		request.Header.Set("X-Request-ID", "id"+n)
		response, err := client.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		want := strings.Join([]string{method, "/mix/" + n + "?q=" + n, "h" + n + ".example", "m" + n, "id" + n}, "|")
		if err != nil || string(got) != body || response.Header.Get("X-Sent") != want || response.Header.Get("Content-Type") != "text/m"+n {
			t.Errorf("%s %d: %d, %v, header %q, want %q, body %.40q, want %.40q", method, i, response.StatusCode, err, response.Header, want, got, body)
			return
		}
	}
}
