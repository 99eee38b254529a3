package exchange

import (
	"slices"
	"testing"
)

func some() Header {
	return Header{{"Accept", "a"}, {"x-one", "1"}, {"X-Two", "2"}, {"X-One", "3"}, {"Connection", "close, X-Two ,\tUpgrade"}}
}

func TestHeaderReads(t *testing.T) {
	h := some()
	if got := h.Get("X-ONE"); got != "1" {
		t.Errorf("Get: %q, want the first value", got)
	}
	if got := h.Get("X-None"); got != "" || h.Has("X-None") || !h.Has("x-two") {
		t.Errorf("Get of none: %q", got)
	}
	if got := h.Values("x-One"); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("Values: %q", got)
	}
	for token, want := range map[string]bool{"close": true, "x-two": true, "UPGRADE": true, "two": false, "": false} {
		if got := h.HasToken("connection", token); got != want {
			t.Errorf("HasToken(%q) is %t", token, got)
		}
	}
}

func TestHeaderChangesKeepTheOrder(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Header)
		want   Header
	}{
		"Set one of several": {func(h *Header) { h.Set("X-ONE", "9") },
			Header{{"Accept", "a"}, {"X-ONE", "9"}, {"X-Two", "2"}, {"Connection", "close, X-Two ,\tUpgrade"}}},
		"Set a new one": {func(h *Header) { h.Set("X-New", "9") }, append(some(), Field{"X-New", "9"})},
		"Add":           {func(h *Header) { h.Add("X-One", "9") }, append(some(), Field{"X-One", "9"})},
		"Del":           {func(h *Header) { h.Del("x-one") }, Header{{"Accept", "a"}, {"X-Two", "2"}, {"Connection", "close, X-Two ,\tUpgrade"}}},
		"Del none":      {func(h *Header) { h.Del("x") }, some()},
	} {
		h := some()
		c.change(&h)
		if !slices.Equal(h, c.want) {
			t.Errorf("%s: %v, want %v", name, h, c.want)
		}
	}
}
