package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kamal-proxy/transport/control"
)

func (a *app) removeCommand() *cobra.Command {
	order := control.NewRemove()
	cmd := &cobra.Command{
		Use:     "remove <service> [flags]",
		Aliases: []string{"rm"},
		Short:   "Take a service away",
		Long:    "Take a service away, and wait until its requests have ended.",
		Args:    oneService,
	}
	addTopic(cmd, defaultTopic, func(f *pflag.FlagSet) {
		f.DurationVar(&order.DrainTimeout, "drain-timeout", order.DrainTimeout, "how long requests under way may take")
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order.Service = args[0]
		if err := order.Validate(); err != nil {
			return err
		}
		steps := a.console.steps("new requests get 404")
		return a.daemon().Remove(cmd.Context(), order, steps.told)
	}
	return cmd
}
