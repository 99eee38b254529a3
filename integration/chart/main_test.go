package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func TestBarsAreMediansAsRatios(t *testing.T) {
	var out strings.Builder
	err := run(strings.NewReader(`{
		"small-get": {"nginx": [{"cpu": 20}], "ours": [{"cpu": 90}, {"cpu": 30}, {"cpu": 10}], "direct": [{"cpu": 1}]},
		"ws-echo": {"nginx": [{"cpu": 10}], "go": [{"cpu": 100}]},
		"idle-10k": {"ours": [{"cpu": 0}]}}`), &out)
	if err != nil {
		t.Fatal(err)
	}
	svg := out.String()
	for _, want := range []string{
		"GET of 1 KiB<", `width="225"`, `>1.50 <tspan fill="#666">30.0 µs<`, "WebSocket echo<", `width="540"`, ">10.00 ", "Go&#39;s ReverseProxy<",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("there is no %s in\n%s", want, svg)
		}
	}
	for _, unwanted := range []string{"direct", "haproxy", "POST"} {
		if strings.Contains(svg, unwanted) {
			t.Errorf("there is %s, of which there are no figures", unwanted)
		}
	}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutABaselineThereIsNoPicture(t *testing.T) {
	for _, in := range []string{"", "[]", "{}", `{"small-get": {"ours": [{"cpu": 1}]}}`} {
		var out strings.Builder
		if err := run(strings.NewReader(in), &out); err == nil || out.Len() > 0 {
			t.Errorf("of %q became %q, error %v", in, out.String(), err)
		}
	}
}
