package certs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	chain, key := newPair(t, "web", time.Now().Add(time.Hour), "app.example.com")
	certificate, err := Load(writeFile(t, "cert.pem", chain), writeFile(t, "key.pem", key))
	if err != nil {
		t.Fatal(err)
	}
	if name := certificate.Leaf.Subject.CommonName; name != "web" {
		t.Errorf("loaded %q", name)
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	chain, key := newPair(t, "web", time.Now().Add(time.Hour), "app.example.com")
	_, otherKey := newPair(t, "other", time.Now().Add(time.Hour), "app.example.com")
	good, goodKey := writeFile(t, "cert.pem", chain), writeFile(t, "key.pem", key)
	gone := filepath.Join(t.TempDir(), "gone.pem")
	huge := writeFile(t, "huge.pem", nil)
	if err := os.Truncate(huge, maxFile+1); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		certificate, key string
		says             []string
	}{
		"no certificate":    {gone, goodKey, []string{"--tls-certificate-path", gone, "no such file"}},
		"no key":            {good, gone, []string{"--tls-private-key-path", gone, "no such file"}},
		"a folder":          {t.TempDir(), goodKey, []string{"--tls-certificate-path", "not a file"}},
		"not PEM":           {writeFile(t, "x.pem", []byte("junk")), goodKey, []string{"both PEM"}},
		"too large":         {huge, goodKey, []string{"too large"}},
		"empty key":         {good, writeFile(t, "empty.pem", nil), []string{"both PEM"}},
		"another one's key": {good, writeFile(t, "other.pem", otherKey), []string{"does not match"}},
		"exchanged":         {goodKey, good, []string{"both PEM"}},
		"no path":           {"", "", []string{"--tls-certificate-path"}},
	} {
		_, err := Load(test.certificate, test.key)
		if err == nil || !strings.HasPrefix(err.Error(), "unable to load certificate") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, words := range test.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %q does not say %q", name, err, words)
			}
		}
	}
}

func TestLoadRoots(t *testing.T) {
	chain, _ := newPair(t, "root", time.Now().Add(time.Hour))
	path := writeFile(t, "root.pem", chain)
	one, err := LoadRoots(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := LoadRoots(path); again.hash != one.hash {
		t.Error("the same roots do not compare as the same")
	}
	for name, path := range map[string]string{"gone": path + "x", "no certificate": writeFile(t, "x.pem", []byte("junk"))} {
		if _, err := LoadRoots(path); err == nil || !strings.HasPrefix(err.Error(), "unable to load certificate authority") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
