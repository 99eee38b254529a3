package cli

import (
	"github.com/spf13/cobra"

	"kamal-proxy/transport/control"
)

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume <service>",
		Short: "End a pause or a stop",
		Long:  "End a pause or a stop. Requests that wait go on in the order in which they came.",
		Args:  oneService,
		RunE: func(cmd *cobra.Command, args []string) error {
			order := control.Resume{Service: args[0]}
			if err := order.Validate(); err != nil {
				return err
			}
			return a.daemon().Resume(cmd.Context(), order, nil)
		},
	}
}
