package integration

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pagesFolder writes error pages.
func pagesFolder(t *testing.T, pages map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestErrorPagesOfTheService(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	dir := pagesFolder(t, map[string]string{
		"404.html": "own 404", "502.html": "own 502", "503.html": "<p>Custom Maintenance Page: {{ .Message }}</p>",
	})
	d.must("deploy", "web", "--host", "a.example", "--target", a.target(), "--error-pages", dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	d.must("stop", "web", "--message", "Testing <Mode>")
	if code, body := d.get("a.example", "/"); code != 503 || body != "<p>Custom Maintenance Page: Testing &lt;Mode&gt;</p>" {
		t.Errorf("stopped, after the folder has gone: %d %q", code, body)
	}
	d.must("resume", "web")
	if code, body := d.get("a.example", "/slow?bad"); code != 400 || strings.Contains(body, "own") {
		t.Errorf("the app's own error became %d %q", code, body)
	}
	if code, body := d.get("b.example", "/"); code != 404 || !strings.Contains(body, "404 Not Found") {
		t.Errorf("a host without a service: %d %q, want the built-in page", code, body)
	}

	d.kill()
	d.start() // the folder is gone: the service keeps its routes, and has the built-in pages
	if _, body := d.get("a.example", "/"); body != "a" {
		t.Errorf("a lost folder cost the service its routes: %q", body)
	}
	if log := d.log.String(); !strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, "unable to load error pages") {
		t.Error("that the pages are gone is not told loudly")
	}
	d.must("stop", "web", "--message", "Later")
	if code, body := d.get("a.example", "/"); code != 503 || !strings.Contains(body, "Later") {
		t.Errorf("without the folder: %d %q", code, body)
	}
}

func TestErrorPagesFallBack(t *testing.T) {
	d := startDaemon(t)
	dir := pagesFolder(t, map[string]string{"404.html": "own 404", "504.html": "{{.Nothing}}"})
	d.must("deploy", "web", "--target", closedPort(t), "--force", "--error-pages", dir)
	if code, body := d.get("any.host", "/"); code != 502 || !strings.Contains(body, "502 Bad Gateway") {
		t.Errorf("a page that is not in the folder: %d %q", code, body)
	}
}

func TestErrorPagesAreRefused(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	for _, dir := range []string{
		filepath.Join(t.TempDir(), "missing"),
		pagesFolder(t, nil),
		pagesFolder(t, map[string]string{"404.txt": "x"}),
		pagesFolder(t, map[string]string{"404.html": "x", "503.html": "{{ .Message"}),
	} {
		d.refused("unable to load error pages", "deploy", "web", "--target", a.target(), "--error-pages", dir)
	}
	if code, _ := d.get("any.host", "/"); code != http.StatusNotFound {
		t.Errorf("after refused deploys: %d", code)
	}
}

func TestErrorPagesOfAFolderNamedFromHere(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	dir := pagesFolder(t, map[string]string{"503.html": "relative"})
	t.Chdir(filepath.Dir(dir))
	d.must("deploy", "web", "--target", a.target(), "--error-pages", filepath.Base(dir))
	d.must("stop", "web")
	if _, body := d.get("any.host", "/"); body != "relative" {
		t.Errorf("got %q", body)
	}
}

func TestBuiltinPages(t *testing.T) {
	d := startDaemon(t)
	a := startApp(t, "a")
	d.must("deploy", "dead", "--host", "dead.example", "--target", closedPort(t), "--force")
	d.must("deploy", "stopped", "--host", "stopped.example", "--target", a.target())
	d.must("stop", "stopped")
	d.must("deploy", "slow", "--host", "slow.example", "--target", a.target(), "--target-timeout", "100ms")
	for host, want := range map[string]string{
		"nobody.example":  "404 Not Found",
		"dead.example":    "502 Bad Gateway",
		"stopped.example": "503 Service Temporarily Unavailable",
		"slow.example":    "504 Gateway Timeout",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			response, body := do(t, d.request(method, host, "/slow?30s", nil))
			if response.StatusCode != atoi(t, want[:3]) || response.Header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%s of %s: %d, Content-Type %q", method, host, response.StatusCode, response.Header.Get("Content-Type"))
			}
			if method == "HEAD" && body != "" || method == "GET" && !(strings.Contains(body, want) && strings.Contains(body, "<html")) {
				t.Errorf("%s of %s: page %q, want %s", method, host, body, want)
			}
		}
	}
}
