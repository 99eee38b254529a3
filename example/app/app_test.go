package main

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func serveForTest(t *testing.T, a *app) string {
	t.Helper()
	server := httptest.NewServer(a.routes())
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, url string, header ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func body(t *testing.T, response *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFrontSaysWhoAnswers(t *testing.T) {
	url := serveForTest(t, &app{version: "v1", container: "c0ffee"})
	if got := body(t, get(t, url)); got != "v1 in c0ffee\n" {
		t.Errorf("a program gets %q", got)
	}
	browser := get(t, url, "Accept", "text/html,*/*")
	if got := body(t, browser); !strings.Contains(got, "<title>") || browser.Header.Get("X-Version") != "v1" {
		t.Errorf("a browser gets %q", got)
	}
	if got := body(t, get(t, url+"/slow?1ms")); got != "v1 in c0ffee, after 1ms\n" {
		t.Errorf("/slow answers %q", got)
	}
}

func TestUpFailsUntilBooted(t *testing.T) {
	booting := serveForTest(t, &app{version: "v1", ready: time.Now().Add(time.Hour)})
	if got := get(t, booting+"/up").StatusCode; got != http.StatusServiceUnavailable {
		t.Errorf("while it boots it answers %d", got)
	}
	booted := serveForTest(t, &app{version: "v1"})
	if got := get(t, booted+"/up").StatusCode; got != http.StatusOK {
		t.Errorf("then it answers %d", got)
	}
}

func TestEventsComeAtOnce(t *testing.T) {
	response := get(t, serveForTest(t, &app{version: "v1", container: "c0ffee"})+"/events")
	lines := bufio.NewScanner(response.Body)
	for _, want := range []string{"id: 1", "data: v1 in c0ffee"} {
		if lines.Scan(); lines.Text() != want {
			t.Errorf("it sends %q, want %q", lines.Text(), want)
		}
	}
}

// The key and its answer are the example of RFC 6455, section 1.3.
func TestAccept(t *testing.T) {
	if got := accept("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("accept is %q", got)
	}
}

func TestEchoOfFrames(t *testing.T) {
	masked := func(opcode byte, payload string) []byte {
		frame := []byte{0x80 | opcode, 0x80 | byte(len(payload)), 1, 2, 3, 4}
		for i := range len(payload) {
			frame = append(frame, payload[i]^byte(i%4+1))
		}
		return frame
	}
	for _, c := range []struct {
		name string
		in   []byte
		want string
		ends bool
	}{
		{"text", masked(text, "hello"), "\x81\x05hello", false},
		{"ping", masked(ping, "x"), "\x8a\x01x", false},
		{"close", masked(closing, "\x03\xe9"), "\x88\x02\x03\xe9", true},
		{"not masked", []byte{0x81, 1, 'x'}, "", true},
		{"too long", []byte{0x81, 0xff, 1, 0, 0, 0, 0, 0, 0, 0}, "", true},
		{"cut off", masked(text, "hello")[:8], "", true},
	} {
		var out bytes.Buffer
		err := serveFrame(bufio.NewReader(bytes.NewReader(c.in)), &out)
		if out.String() != c.want || (err != nil) != c.ends {
			t.Errorf("%s: %q, %v, want %q, an end: %v", c.name, out.String(), err, c.want, c.ends)
		}
	}
}
