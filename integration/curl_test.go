package integration

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// tenMiB is more than a buffer keeps in memory.
const tenMiB = 10 << 20

// curl asks the daemon as a.example, and returns what --write-out gives for
// format, and what --verbose says.
func curl(t *testing.T, d *daemon, format string, args ...string) (said, verbose string) {
	t.Helper()
	args = append([]string{
		"--silent", "--show-error", "--verbose", "--noproxy", "*", "--max-time", "20",
		"--connect-to", fmt.Sprintf("a.example:80:127.0.0.1:%d", d.http),
		"--connect-to", fmt.Sprintf("a.example:443:127.0.0.1:%d", d.https),
		"--write-out", format,
	}, args...)
	cmd := exec.Command(peer(t, "curl"), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Errorf("curl %q: %v\n%s", args, err, tail(errs.String(), 2000))
	}
	return out.String(), errs.String()
}

// file writes a file of n random bytes.
func file(t *testing.T, n int) (path string, data []byte) {
	t.Helper()
	data = make([]byte, n)
	rand.Read(data)
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, data
}

// startShelf runs an app that keeps what is put to /file and gives it back,
// with and without telling its length.
func startShelf(t *testing.T) *app {
	var kept []byte
	return startApp(t, "shelf", func(mux *http.ServeMux) {
		mux.HandleFunc("PUT /file", func(w http.ResponseWriter, r *http.Request) {
			var err error
			if kept, err = io.ReadAll(r.Body); err != nil {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(http.StatusCreated)
		})
		mux.HandleFunc("GET /file", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(kept)))
			w.Write(kept)
		})
		mux.HandleFunc("GET /stream", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			w.Write(kept)
		})
	})
}

func TestCurlSpeaksEveryVersion(t *testing.T) {
	d := startDaemon(t)
	shelf := startShelf(t)
	certPath, keyPath, _ := certificate(t, t.TempDir(), "a.example")
	d.must("deploy", "web", "--target", shelf.target(), "--host", "a.example", "--tls", "--tls-redirect=false",
		"--tls-certificate-path", certPath, "--tls-private-key-path", keyPath)
	for _, c := range []struct{ version, url, want string }{
		{"--http1.0", "http://a.example/", "shelf 200 1"}, // answered with 1.0 or 1.1: RFC 9110, section 2.5, allows both
		{"--http1.1", "http://a.example/", "shelf 200 1.1"},
		{"--http2", "http://a.example/", "shelf 200 1.1"}, // h2c is not offered
		{"--http1.0", "https://a.example/", "shelf 200 1"},
		{"--http1.1", "https://a.example/", "shelf 200 1.1"},
		{"--http2", "https://a.example/", "shelf 200 2"},
	} {
		if said, verbose := curl(t, d, " %{http_code} %{http_version}", c.version, "--cacert", certPath, alpn(c.version), c.url); !strings.HasPrefix(said, c.want) {
			t.Errorf("curl %s %s: %q, want it to begin with %q\n%s", c.version, c.url, said, c.want, verbose)
		}
	}
	said, _ := curl(t, d, " %{num_connects}", "--cacert", certPath, "https://a.example/", "https://a.example/", "https://a.example/")
	if said != "shelf 1shelf 0shelf 0" {
		t.Errorf("three requests one after the other say %q, want one connection", said)
	}
}

// alpn turns that off for HTTP/1.0, which has a name there that nobody offers.
func alpn(version string) string {
	if version == "--http1.0" {
		return "--no-alpn"
	}
	return "--alpn"
}

// HTTP/1.0 knows no chunks: a body of unknown length ends with the connection.
func TestCurlGetsStreamByHTTP10(t *testing.T) {
	d := startDaemon(t)
	d.must("deploy", "web", "--target", startShelf(t).target())
	path, data := file(t, 1<<20)
	curl(t, d, "", "--http1.1", "--upload-file", path, "http://a.example/file")
	into := filepath.Join(t.TempDir(), "into")
	said, verbose := curl(t, d, "%{http_code}", "--http1.0", "--output", into, "http://a.example/stream")
	if got, err := os.ReadFile(into); err != nil || said != "200" || !bytes.Equal(got, data) {
		t.Errorf("%s with %d bytes, %v, want 200 with %d", said, len(got), err, len(data))
	}
	if strings.Contains(strings.ToLower(verbose), "transfer-encoding") {
		t.Errorf("an HTTP/1.0 client is sent chunks:\n%s", tail(verbose, 2000))
	}
}

func TestCurlUploadsAndDownloads(t *testing.T) {
	d := startDaemon(t)
	certPath, keyPath, _ := certificate(t, t.TempDir(), "a.example")
	path, data := file(t, tenMiB)
	for name, flags := range map[string][]string{
		"passed on": nil,
		"buffered":  {"--buffer-requests", "--buffer-responses", "--max-request-body", strconv.Itoa(tenMiB), "--max-response-body", strconv.Itoa(tenMiB)},
	} {
		d.must(append([]string{"deploy", "web", "--target", startShelf(t).target(), "--host", "a.example", "--tls", "--tls-redirect=false",
			"--tls-certificate-path", certPath, "--tls-private-key-path", keyPath}, flags...)...)
		for _, how := range [][]string{{"--http1.1", "http"}, {"--http1.1", "https"}, {"--http2", "https"}} {
			t.Run(name+strings.Join(how, " "), func(t *testing.T) {
				roundTrip(t, d, path, data, how[1]+"://a.example", how[0], "--cacert", certPath)
			})
		}
	}
}

// roundTrip puts a file, with its length told and in chunks, and gets it back
// in both ways.
func roundTrip(t *testing.T, d *daemon, path string, data []byte, site string, flags ...string) {
	for _, length := range []string{"X-Told: yes", "Transfer-Encoding: chunked"} {
		if strings.HasPrefix(length, "Transfer") && flags[0] == "--http2" {
			continue // frames have lengths of their own
		}
		said, verbose := curl(t, d, "%{http_code}", append(flags, "--upload-file", path, "--header", length, "--header", "Expect: 100-continue", "--expect100-timeout", "15", site+"/file")...)
		if said != "201" {
			t.Errorf("%s: the upload is answered %s, want 201\n%s", length, said, tail(verbose, 2000))
		}
		if !strings.Contains(verbose, " 100") {
			t.Errorf("%s: no 100 Continue came:\n%s", length, tail(verbose, 2000))
		}
	}
	for _, from := range []string{"/file", "/stream"} {
		into := filepath.Join(t.TempDir(), "into")
		said, _ := curl(t, d, "%{http_code}", append(flags, "--output", into, site+from)...)
		if got, err := os.ReadFile(into); err != nil || said != "200" || !bytes.Equal(got, data) {
			t.Errorf("%s: %s with %d bytes, %v, want 200 with %d", from, said, len(got), err, len(data))
		}
	}
}

// A body that is announced too large is refused before it is sent.
func TestCurlIsToldEarlyThatItsBodyIsTooLarge(t *testing.T) {
	d := startDaemon(t)
	shelf := startShelf(t)
	d.must("deploy", "web", "--target", shelf.target(), "--buffer-requests", "--max-request-body", strconv.Itoa(tenMiB-1))
	path, _ := file(t, tenMiB)
	said, _ := curl(t, d, " %{http_code} %{size_upload}", "--upload-file", path, "--expect100-timeout", "15", "--header", "Expect: 100-continue", "http://a.example/file")
	if !strings.HasSuffix(said, " 413 0") {
		t.Errorf("it says %q, want 413 without a byte sent", tail(said, 40))
	}
}
