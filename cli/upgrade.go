package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kamal-proxy/transport/control"
)

func (a *app) upgradeCommand() *cobra.Command {
	var order control.Upgrade
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "upgrade [flags]",
		Short: "Put a new process in the running proxy's place",
		Long: `Start the proxy's program anew, as it is on disk now, and hand it the ports and
the services. Orders under way end first. When the new process serves, this
command ends, and the old one finishes what it has begun, for --upgrade-timeout.
If the new one does not get ready, nothing changes.

SIGUSR2 to the proxy does the same, and its log says what came of it.`,
		Args: noArgument,
	}
	addTopic(cmd, defaultTopic, func(f *pflag.FlagSet) {
		f.StringVar(&order.Binary, "binary", "", "`path` of the program to start instead of the proxy's own")
		f.Var((*grace)(&limit), "upgrade-timeout", "how long requests of the old process may take to end; as \"run\" was told when left out")
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("upgrade-timeout") {
			order.Timeout = &limit
		}
		if cmd.Flags().Changed("binary") {
			if order.Binary == "" {
				return errors.New("--binary is empty: name a program, or leave it out for the proxy's own")
			}
			path, err := filepath.Abs(order.Binary)
			if err != nil {
				return fmt.Errorf("--binary is %q: %w", order.Binary, err)
			}
			order.Binary = path
		}
		steps := a.console.steps("")
		return a.daemon().Upgrade(cmd.Context(), order, func(step control.Step) {
			if step.Stage == control.Serving {
				fmt.Fprintln(a.console.out, printable(step.Detail))
				return
			}
			steps.told(step)
		})
	}
	return cmd
}
