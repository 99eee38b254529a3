package cli

import (
	"github.com/spf13/cobra"

	"kamal-proxy/transport/control"
)

func (a *app) rolloutStopCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stop <service>",
		Short: "Send everybody to the active targets",
		Long:  "End a rollout: everybody is sent to the active targets again.",
		Args:  oneService,
		RunE: func(cmd *cobra.Command, args []string) error {
			order := control.RolloutStop{Service: args[0]}
			if err := order.Validate(); err != nil {
				return err
			}
			return a.daemon().RolloutStop(cmd.Context(), order, nil)
		},
	}
}
