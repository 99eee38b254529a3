package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kamal-proxy/transport/control"
)

func (a *app) stopCommand() *cobra.Command {
	order := control.NewStop()
	cmd := &cobra.Command{
		Use:   "stop <service> [flags]",
		Short: "Answer a service's requests with a page",
		Long: `Answer a service's new requests with status 503 and a page until "resume", and
wait until those under way have ended.`,
		Args: oneService,
	}
	addTopic(cmd, defaultTopic, func(f *pflag.FlagSet) {
		f.DurationVar(&order.DrainTimeout, "drain-timeout", order.DrainTimeout, "how long requests under way may take")
		f.StringVar(&order.Message, "message", "", "`text` for the page")
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order.Service = args[0]
		if err := order.Validate(); err != nil {
			return err
		}
		steps := a.console.steps("new requests get 503")
		return a.daemon().Stop(cmd.Context(), order, steps.told)
	}
	return cmd
}
