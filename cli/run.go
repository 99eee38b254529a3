package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kamal-proxy/transport/control"
)

const (
	defaultMaxHeld         = 1000
	defaultUpgradeTimeout  = 10 * time.Minute
	defaultShutdownTimeout = 9 * time.Second // Docker kills after 10 s
)

func (a *app) runCommand() *cobra.Command {
	o := RunOptions{
		HTTPPort: 80, HTTPSPort: 443, MaxHeld: defaultMaxHeld, Limits: defaultLimits(),
		UpgradeTimeout: defaultUpgradeTimeout, ShutdownTimeout: defaultShutdownTimeout,
	}
	cmd := &cobra.Command{
		Use:   "run [flags]",
		Short: "Run the proxy",
		Long: `Run the proxy until it is told to stop by SIGTERM or SIGINT.

Each flag can be given by the environment, too: --http-port is read from
KAMAL_PROXY_HTTP_PORT and, without that, from HTTP_PORT. A flag that is given
on the command line counts more.`,
		Args: noArgument,
	}
	flags := addTopic(cmd, defaultTopic, func(f *pflag.FlagSet) {
		f.BoolVar(&o.Debug, "debug", false, "log details")
		f.Var((*port)(&o.HTTPPort), "http-port", "`port` for HTTP, 0 for any free one")
		f.Var((*port)(&o.HTTPSPort), "https-port", "`port` for HTTPS, 0 for any free one")
		f.Var((*port)(&o.MetricsPort), "metrics-port", "`port` for metrics, 0 for none")
		f.BoolVar(&o.HTTP3, "http3", false, "serve HTTP/3, too, on the HTTPS port")
		f.Var((*networks)(&o.TrustedProxies), "trusted-proxy", "`network` of proxies that are believed about the client, such as 10.0.0.0/8")
		f.BoolVar(&o.ProxyProtocol, "proxy-protocol", false, "connections begin with a PROXY protocol header, version 1 or 2")
		f.Var((*count)(&o.MaxHeld), "max-held", "how many requests each paused service holds")
		f.Var((*count)(&o.MaxInFlight), "max-in-flight", "how many requests each service may have under way, 0 for no limit")
		f.Var((*grace)(&o.ShutdownTimeout), "shutdown-timeout", "how long requests may take to end after SIGTERM")
		f.Var((*grace)(&o.UpgradeTimeout), "upgrade-timeout", "how long requests may take to end after an upgrade")
	})
	limits := addTopic(cmd, "Limits", o.Limits.addFlags)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmp.Or(a.readEnvironment(flags), a.readEnvironment(limits)); err != nil {
			return err
		}
		if err := o.checkPorts(); err != nil {
			return err
		}
		o.Socket = control.SocketPath(a.env)
		o.Data = DataFolder(a.env)
		return a.run(cmd.Context(), o)
	}
	return cmd
}

// checkPorts refuses one port for two things.
func (o *RunOptions) checkPorts() error {
	taken := map[int]string{}
	for _, use := range []struct {
		flag string
		port int
	}{{"--http-port", o.HTTPPort}, {"--https-port", o.HTTPSPort}, {"--metrics-port", o.MetricsPort}} {
		if other := taken[use.port]; other != "" && use.port != 0 {
			return fmt.Errorf("%s and %s are both %d: give each a port of its own", other, use.flag, use.port)
		}
		taken[use.port] = use.flag
	}
	return nil
}

// port is a flag's value from 0 to 65535.
type port int

func (p *port) String() string { return strconv.Itoa(int(*p)) }
func (p *port) Type() string   { return "port" }

func (p *port) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return fmt.Errorf("a port is a number from 0 to 65535")
	}
	*p = port(n)
	return nil
}

// count is a flag's value that is not negative.
type count int

func (c *count) String() string { return strconv.Itoa(int(*c)) }
func (c *count) Type() string   { return "number" }

func (c *count) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return fmt.Errorf("it must be a whole number, 0 or more")
	}
	*c = count(n)
	return nil
}

// grace is a flag's value that is a time, or 0.
type grace time.Duration

func (g *grace) String() string { return time.Duration(*g).String() }
func (g *grace) Type() string   { return "duration" }

func (g *grace) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf("it must be a time such as 30s or 5m, or 0")
	}
	*g = grace(d)
	return nil
}
