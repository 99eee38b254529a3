package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUpgradeSaysWhatServesNow(t *testing.T) {
	d := startDaemon(t, `{"progress":{"stage":"starting","detail":"/x"}}
{"progress":{"stage":"serving","detail":"kamal-proxy 2 serves\u001b[2J"}}
{"done":true}`)
	o := execute(t, d.env(), "upgrade", "--binary", "next/kamal-proxy")
	if o.code != 0 || o.stderr != "" || o.stdout != "kamal-proxy 2 serves·[2J\n" {
		t.Errorf("exit %d, %q, %q", o.code, o.stdout, o.stderr)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got := d.take(); len(got) != 1 || got[0].line != "POST /v1/upgrade" || got[0].body["binary"] != filepath.Join(here, "next/kamal-proxy") {
		t.Errorf("it made %+v", got)
	}
	if o := execute(t, d.env(), "upgrade"); o.code != 0 {
		t.Errorf("exit %d, %s", o.code, o.stderr)
	}
	if got := d.take(); len(got) != 1 || got[0].body["binary"] != "" {
		t.Errorf("without --binary it made %+v", got)
	}
	if o := execute(t, d.env(), "upgrade", "--upgrade-timeout", "0"); o.code != 0 {
		t.Errorf("exit %d, %s", o.code, o.stderr)
	}
	if got := d.take(); len(got) != 1 || got[0].body["timeout"] != float64(0) {
		t.Errorf("with a time it made %+v", got)
	}
	if o := execute(t, d.env(), "upgrade", "--binary", ""); o.code != 1 || len(d.take()) != 0 || !strings.Contains(o.stderr, "--binary is empty") {
		t.Errorf("with an empty path: exit %d, %s", o.code, o.stderr)
	}
	if o := execute(t, d.env(), "upgrade", "x"); o.code != 1 || len(d.take()) != 0 {
		t.Errorf("with an argument: exit %d, %s", o.code, o.stderr)
	}
}

func TestUpgradeThatFailsSaysWhy(t *testing.T) {
	d := startDaemon(t, `{"error":"the proxy was not upgraded: no luck"}`)
	if o := execute(t, d.env(), "upgrade"); o.code != 1 || o.stdout != "" || o.stderr != "Error: the proxy was not upgraded: no luck\n" {
		t.Errorf("exit %d, %q, %q", o.code, o.stdout, o.stderr)
	}
}

func TestTimesOfRunAreNotNegative(t *testing.T) {
	for _, flag := range []string{"--upgrade-timeout", "--shutdown-timeout"} {
		if o := execute(t, nil, "run", flag, "-1s"); o.code != 1 || len(o.ran) != 0 || !strings.Contains(o.stderr, `invalid argument "-1s" for "`+flag+`" flag: it must be`) {
			t.Errorf("%s: exit %d, %s", flag, o.code, o.stderr)
		}
	}
}
