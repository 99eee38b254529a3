package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// honestClients ask all the time, by plain HTTP/1.1, and look whether each answer
// is theirs. stop ends them, fails the test where one was not answered, and
// returns the time within which 99 of 100 were.
func honestClients(t *testing.T, d *daemon) (stop func() time.Duration) {
	t.Helper()
	return honestClientsBy(t, &http.Client{Timeout: patience, Transport: &http.Transport{}}, d.url(""))
}

// honestClientsBy is honestClients by another way.
func honestClientsBy(t *testing.T, client *http.Client, url string) (stop func() time.Duration) {
	t.Helper()
	type outcome struct {
		times []time.Duration
		err   error
	}
	ended, outcomes := make(chan struct{}), make(chan outcome, 4)
	for i := range cap(outcomes) {
		go func() {
			times, err := honestClient(client, url, fmt.Sprintf("honest%d.example", i), ended)
			outcomes <- outcome{times, err}
		}()
	}
	return func() time.Duration {
		t.Helper()
		close(ended)
		var all []time.Duration
		for range cap(outcomes) {
			one := <-outcomes
			if one.err != nil {
				t.Error("an honest client: ", one.err)
			}
			all = append(all, one.times...)
		}
		client.CloseIdleConnections()
		if len(all) == 0 {
			return 0
		}
		slices.Sort(all)
		return all[len(all)*99/100]
	}
}

func honestClient(client *http.Client, url, me string, ended <-chan struct{}) (times []time.Duration, err error) {
	for n := 0; ; n++ {
		select {
		case <-ended:
			return times, nil
		case <-time.After(time.Millisecond):
		}
		request, err := http.NewRequest("POST", fmt.Sprintf("%s/%d", url, n), strings.NewReader(strings.Repeat("x", n%3*1000)))
		if err != nil {
			return times, err
		}
		request.Host = me
		began := time.Now()
		response, err := client.Do(request)
		if err != nil {
			return times, err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		times = append(times, time.Since(began))
		if want := fmt.Sprintf("%s POST /%d", me, n); err != nil || response.StatusCode != 200 || string(body) != want {
			return times, fmt.Errorf("got %d, %.80q, %v, want %q", response.StatusCode, body, err, want)
		}
	}
}

// lavish is how many bytes startLavish's target answers with.
const lavish = 1 << 20

// startLavish starts a target that answers everything with a MiB.
func startLavish(t *testing.T) (address string) {
	t.Helper()
	mib := strings.Repeat("a", lavish)
	return startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", lavish, mib)
	}).target()
}
