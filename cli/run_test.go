package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRunReadsItsEnvironment(t *testing.T) {
	standard := RunOptions{HTTPPort: 80, HTTPSPort: 443, MaxHeld: 1000, UpgradeTimeout: 10 * time.Minute, ShutdownTimeout: 9 * time.Second, Limits: defaultLimits(), Socket: "/tmp/kamal-proxy.sock", Data: "/h/.config/kamal-proxy"}
	with := func(change func(*RunOptions)) RunOptions {
		o := standard
		change(&o)
		return o
	}
	for name, test := range map[string]struct {
		env    map[string]string
		args   []string
		want   RunOptions
		warned string
	}{
		"nothing": {nil, nil, standard, ""},
		"plain names": {map[string]string{"DEBUG": "1", "HTTP_PORT": "8080", "HTTPS_PORT": "0", "METRICS_PORT": "9000", "HTTP3": "true", "MAX_HELD": "7"}, nil, with(func(o *RunOptions) {
			o.Debug, o.HTTPPort, o.HTTPSPort, o.MetricsPort, o.HTTP3, o.MaxHeld = true, 8080, 0, 9000, true, 7
		}), ""},
		"our names": {map[string]string{"KAMAL_PROXY_DEBUG": "true", "KAMAL_PROXY_HTTP_PORT": "8080", "KAMAL_PROXY_HTTPS_PORT": "8443", "KAMAL_PROXY_METRICS_PORT": "9000", "KAMAL_PROXY_HTTP3": "1", "KAMAL_PROXY_MAX_HELD": "0", "KAMAL_PROXY_UPGRADE_TIMEOUT": "1m", "KAMAL_PROXY_SHUTDOWN_TIMEOUT": "0s"}, nil, with(func(o *RunOptions) {
			o.Debug, o.HTTPPort, o.HTTPSPort, o.MetricsPort, o.HTTP3, o.MaxHeld = true, 8080, 8443, 9000, true, 0
			o.UpgradeTimeout, o.ShutdownTimeout = time.Minute, 0
		}), ""},
		"ours win":                         {map[string]string{"HTTP_PORT": "1", "KAMAL_PROXY_HTTP_PORT": "2"}, nil, with(func(o *RunOptions) { o.HTTPPort = 2 }), ""},
		"flags win":                        {map[string]string{"KAMAL_PROXY_HTTP_PORT": "2", "DEBUG": "true"}, []string{"--http-port=3", "--debug=false"}, with(func(o *RunOptions) { o.HTTPPort = 3 }), ""},
		"a flag hides what does not parse": {map[string]string{"KAMAL_PROXY_HTTP_PORT": "x"}, []string{"--http-port=80"}, standard, ""},
		"empty is not set":                 {map[string]string{"KAMAL_PROXY_HTTP_PORT": "", "HTTP_PORT": ""}, nil, standard, ""},
		"help is no option":                {map[string]string{"HELP": "true", "KAMAL_PROXY_HELP": "true", "VERSION": "true"}, nil, standard, ""},
		"limits": {map[string]string{"KAMAL_PROXY_IDLE_TIMEOUT": "5m", "MAX_HEADER_BYTES": "131072"}, []string{"--head-timeout=3s", "--max-client-connections", "20"}, with(func(o *RunOptions) {
			o.IdleTimeout, o.MaxHeaderBytes, o.HeadTimeout, o.MaxClientConnections = 5*time.Minute, 131072, 3*time.Second, 20
		}), ""},
		"another program's port":  {map[string]string{"HTTP_PORT": "tcp://10.0.0.1:80"}, nil, standard, "HTTP_PORT is \"tcp://10.0.0.1:80\""},
		"another program's debug": {map[string]string{"DEBUG": "express:*"}, nil, standard, "DEBUG is"},
		"another program's time":  {map[string]string{"SHUTDOWN_TIMEOUT": "-1s"}, nil, standard, "use KAMAL_PROXY_SHUTDOWN_TIMEOUT"},
		"another program's count": {map[string]string{"MAX_HELD": "-5"}, nil, standard, "use KAMAL_PROXY_MAX_HELD"},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"HOME": "/h"}
			for k, v := range test.env {
				env[k] = v
			}
			o := execute(t, env, append([]string{"run"}, test.args...)...)
			if o.code != 0 || len(o.ran) != 1 {
				t.Fatalf("exit %d, %s", o.code, o.stderr)
			}
			if !reflect.DeepEqual(o.ran[0], test.want) {
				t.Errorf("got  %+v\nwant %+v", o.ran[0], test.want)
			}
			switch {
			case test.warned == "" && o.stderr != "":
				t.Errorf("it warned: %s", o.stderr)
			case !strings.Contains(o.stderr, test.warned), test.warned != "" && strings.Count(o.stderr, "\n") != 1:
				t.Errorf("it warned: %s", o.stderr)
			}
		})
	}
}

func TestOurVariablesMustParse(t *testing.T) {
	for name, value := range map[string]string{
		"KAMAL_PROXY_DEBUG":            "perhaps",
		"KAMAL_PROXY_HTTP_PORT":        "http",
		"KAMAL_PROXY_HTTP3":            "3",
		"KAMAL_PROXY_MAX_HELD":         "many",
		"KAMAL_PROXY_UPGRADE_TIMEOUT":  "soon",
		"KAMAL_PROXY_SHUTDOWN_TIMEOUT": "-9s",
	} {
		o := execute(t, map[string]string{name: value}, "run")
		if o.code != 1 || len(o.ran) != 0 || !strings.HasPrefix(o.stderr, "Error: "+name+` is "`+value+`": `) {
			t.Errorf("exit %d, %s", o.code, o.stderr)
		}
	}
}

func TestDaemonsFailureIsPassedOn(t *testing.T) {
	var stderr bytes.Buffer
	code := Execute(context.Background(), []string{"run"}, func(string) string { return "" }, io.Discard, &stderr,
		func(context.Context, RunOptions) error { return errors.New("port 80 is taken") })
	if code != 1 || stderr.String() != "Error: port 80 is taken\n" {
		t.Errorf("exit %d, %s", code, &stderr)
	}
}
