package pages

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestBuiltinPagesNameTheirStatus(t *testing.T) {
	for status, want := range map[int]string{
		400: "400 Bad Request",
		404: "404 Not Found",
		413: "413 Content Too Large",
		418: "418",
		500: "500 Internal Server Error",
		502: "502 Bad Gateway",
		503: "503 Service Temporarily Unavailable",
		504: "504 Gateway Timeout",
		599: "599",
	} {
		page := string(Builtin().Render(status, ""))
		for _, part := range []string{"<html", want, ">" + strconv.Itoa(status) + "<"} {
			if !strings.Contains(page, part) {
				t.Errorf("the page for %d lacks %q", status, part)
			}
		}
	}
}

func TestBuiltinPagesAreSmallAndStandAlone(t *testing.T) {
	for status := 400; status < 600; status++ {
		page := string(Builtin().Render(status, ""))
		if len(page) >= 4096 {
			t.Errorf("the page for %d has %d bytes", status, len(page))
		}
		for _, outside := range []string{"http:", "https:", "src=", "url(", "<script", "@import"} {
			if strings.Contains(page, outside) {
				t.Errorf("the page for %d reaches outside with %q", status, outside)
			}
		}
	}
}

func TestMessageIsShownEscaped(t *testing.T) {
	page := string(Builtin().Render(503, `Back at <b>five</b> & "fresh"`))
	if !strings.Contains(page, "Back at &lt;b&gt;five&lt;/b&gt; &amp; &#34;fresh&#34;") {
		t.Errorf("message is missing or not escaped:\n%s", page)
	}
	if strings.Contains(page, "taking a short break") {
		t.Error("the standard sentence stands beside the message")
	}
	if other := string(Builtin().Render(503, "Later")); !strings.Contains(other, "Later") {
		t.Error("the second message is not shown")
	}
}

func TestNilPagesAreTheBuiltinOnes(t *testing.T) {
	var none *Pages
	if got, want := none.Render(404, ""), Builtin().Render(404, ""); string(got) != string(want) {
		t.Error("a nil *Pages does not render the built-in page")
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustLoad(t *testing.T, files map[string]string) *Pages {
	t.Helper()
	p, err := Load(folder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLoadedPages(t *testing.T) {
	p := mustLoad(t, map[string]string{
		"404.html":    "<h1>lost</h1>",
		"503.html":    `{{template "frame.html" .}}`,
		"frame.html":  "<p>{{.Message}}</p>",
		"500.html":    "{{.Nothing}}",
		"502.html":    `{{if .Message}}{{.Message}}{{else}}{{.Nothing}}{{end}}`,
		"501.html":    "",
		"notes.txt":   "{{",
		"readme.html": "x",
	})
	for _, c := range []struct {
		status        int
		message, want string
	}{
		{404, "", "<h1>lost</h1>"},
		{404, "ignored", "<h1>lost</h1>"},
		{503, "", "<p></p>"},
		{503, "a<b", "<p>a&lt;b</p>"},
		{503, "c", "<p>c</p>"},
		{500, "", string(Builtin().Render(500, ""))},
		{500, "why", string(Builtin().Render(500, "why"))},
		{502, "", string(Builtin().Render(502, ""))},
		{502, "why", "why"},
		{501, "", string(Builtin().Render(501, ""))},
		{504, "", string(Builtin().Render(504, ""))},
		{599, "", string(Builtin().Render(599, ""))},
	} {
		if got := string(p.Render(c.status, c.message)); got != c.want {
			t.Errorf("page %d with %q is %q, want %q", c.status, c.message, got, c.want)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, dir := range map[string]string{
		"a missing folder":    filepath.Join(t.TempDir(), "none"),
		"no page":             folder(t, map[string]string{"404.txt": "x"}),
		"a broken template":   folder(t, map[string]string{"404.html": "{{", "503.html": "x"}),
		"a broken other file": folder(t, map[string]string{"404.html": "x", "frame.html": "{{end}}"}),
		"a file":              filepath.Join(folder(t, map[string]string{"404.html": "x"}), "404.html"),
	} {
		p, err := Load(dir)
		if err == nil || !strings.HasPrefix(err.Error(), "unable to load error pages") {
			t.Errorf("%s: error is %v", name, err)
		}
		if p != nil {
			t.Errorf("%s: half a set was loaded", name)
		}
	}
}

func TestPagesAreRenderedByManyAtOnce(t *testing.T) {
	p := mustLoad(t, map[string]string{"503.html": "[{{.Message}}]"})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			message := strconv.Itoa(i % 2)
			for range 200 {
				if got := string(p.Render(503, message)); got != "["+message+"]" {
					t.Errorf("got %q for message %q", got, message)
				}
			}
		})
	}
	all.Wait()
}
