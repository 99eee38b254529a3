package cli

import (
	"fmt"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

const ownPrefix = "KAMAL_PROXY_"

// DataFolder is where the proxy keeps its state and its certificates.
func DataFolder(env func(string) string) string {
	home := env("HOME")
	if home == "" {
		if u, err := user.Current(); err == nil {
			home = u.HomeDir
		}
	}
	return filepath.Join(home, ".config", "kamal-proxy")
}

// readEnvironment sets the flags that the command line does not. A variable
// with our prefix must parse. One without it may be meant for another program,
// and is then left alone.
func (a *app) readEnvironment(flags *pflag.FlagSet) error {
	var wrong error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || wrong != nil {
			return
		}
		name := strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := a.env(ownPrefix + name); value != "" {
			if err := f.Value.Set(value); err != nil {
				wrong = fmt.Errorf("%s%s is %q: %w", ownPrefix, name, value, err)
			}
			return
		}
		if value := a.env(name); value != "" && f.Value.Set(value) != nil {
			a.console.warn("%s is %q, which is no value for --%s, and is ignored: use %s%s", name, value, f.Name, ownPrefix, name)
		}
	})
	return wrong
}
