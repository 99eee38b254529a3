package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"testing"
)

// toxiproxy is a proxy in front of targets that can be made to spoil what it
// carries.
type toxiproxy struct {
	t   *testing.T
	api string
}

// toxic spoils one direction: downstream is from the target to us.
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]int `json:"attributes"`
}

func downstream(kind string, attributes map[string]int) toxic {
	return toxic{kind, "downstream", attributes}
}

func upstream(kind string, attributes map[string]int) toxic {
	return toxic{kind, "upstream", attributes}
}

func startToxiproxy(t *testing.T) *toxiproxy {
	t.Helper()
	address := freeAddress(t)
	host, port, _ := net.SplitHostPort(address)
	launch(t, address, exec.Command(peer(t, "toxiproxy"), "-host", host, "-port", port))
	return &toxiproxy{t, "http://" + address}
}

// lead opens a way to a target, and returns its near end.
func (p *toxiproxy) lead(name, target string) (address string) {
	p.t.Helper()
	var made struct{ Listen string }
	answer := p.call(http.MethodPost, "/proxies", map[string]any{"name": name, "listen": "127.0.0.1:0", "upstream": target, "enabled": true})
	if err := json.Unmarshal(answer, &made); err != nil {
		p.t.Fatal(err)
	}
	return made.Listen
}

// spoil adds toxics to a way; the func takes them off.
func (p *toxiproxy) spoil(name string, toxics ...toxic) (heal func()) {
	p.t.Helper()
	var names []string
	for _, toxic := range toxics {
		var made struct{ Name string }
		if err := json.Unmarshal(p.call(http.MethodPost, "/proxies/"+name+"/toxics", toxic), &made); err != nil {
			p.t.Fatal(err)
		}
		names = append(names, made.Name)
	}
	return func() {
		for _, toxic := range names {
			p.call(http.MethodDelete, "/proxies/"+name+"/toxics/"+toxic, nil)
		}
	}
}

// open makes a way's port one that accepts or one that refuses.
func (p *toxiproxy) open(name string, open bool) {
	p.t.Helper()
	p.call(http.MethodPost, "/proxies/"+name, map[string]any{"enabled": open})
}

func (p *toxiproxy) call(method, path string, order any) []byte {
	p.t.Helper()
	text, err := json.Marshal(order)
	if err != nil {
		p.t.Fatal(err)
	}
	request, err := http.NewRequest(method, p.api+path, bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		p.t.Fatal(fmt.Errorf("toxiproxy: %s %s: %s %s %w", method, path, response.Status, answer, err))
	}
	return answer
}
