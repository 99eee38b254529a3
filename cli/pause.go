package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kamal-proxy/transport/control"
)

func (a *app) pauseCommand() *cobra.Command {
	order := control.NewPause()
	cmd := &cobra.Command{
		Use:   "pause <service> [flags]",
		Short: "Make a service's requests wait",
		Long: `Make a service's new requests wait until "resume", and wait until those under way
have ended.`,
		Args: oneService,
	}
	addTopic(cmd, defaultTopic, func(f *pflag.FlagSet) {
		f.DurationVar(&order.DrainTimeout, "drain-timeout", order.DrainTimeout, "how long requests under way may take")
		f.DurationVar(&order.MaxPause, "max-pause", order.MaxPause, "how long a request waits before it gets 504")
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order.Service = args[0]
		if err := order.Validate(); err != nil {
			return err
		}
		steps := a.console.steps("new requests wait")
		return a.daemon().Pause(cmd.Context(), order, steps.told)
	}
	return cmd
}
