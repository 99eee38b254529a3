package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"kamal-proxy/transport/upstream"
)

// Many requests at once, each with its own body and header, in every mode:
// nobody gets anything of another one's.
func TestWireCrowd(t *testing.T) {
	const clients, each = 16, 12
	all := content(3 << 20)
	w := newBufferingWire(t, func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the target could not read the request: %v", err)
		}
		rw.Header().Set("X-Name", r.Header.Get("X-Name"))
		rw.Header().Set("Trailer", "X-Sum")
		if r.Header.Get("X-Chunked") == "" {
			rw.Header().Del("Trailer")
			rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		rw.Write(body)
		if r.Header.Get("X-Chunked") != "" {
			rw.Header().Set("X-Sum", r.Header.Get("X-Name"))
		}
	}, upstream.Options{})
	w.logged = make(chan int, clients*each)
	w.policy.TargetOptions.MaxMemoryBufferSize = 256 << 10
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()

	ask := func(name string, want []byte, chunked bool) error {
		request, _ := http.NewRequest("PUT", w.url+"/"+name, bytes.NewReader(want))
		request.Header.Set("X-Name", name)
		if chunked {
			request.ContentLength = -1
			request.Header.Set("X-Chunked", "yes")
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		switch {
		case err != nil:
			return err
		case !bytes.Equal(got, want):
			return fmt.Errorf("%d bytes came back, and not the %d that were sent", len(got), len(want))
		case response.Header.Get("X-Name") != name:
			return fmt.Errorf("the response is that of %s", response.Header.Get("X-Name"))
		case chunked && response.Trailer.Get("X-Sum") != name:
			return fmt.Errorf("the trailer is %q", response.Trailer)
		}
		return nil
	}
	var crowd sync.WaitGroup
	for c := range clients {
		crowd.Go(func() {
			for i := range each {
				name := fmt.Sprintf("client-%d-%d", c, i)
				start, size := c*1001+i*7, []int{10, 5000, 70_000, 400_000}[(c+i)%4]
				if err := ask(name, all[start:start+size], i%3 == 0); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	crowd.Wait()
	for range clients * each {
		w.expectLogged(t, 200)
	}
	expect(t, "goodbyes", w.finished, clients*each)
}
