package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kamal-proxy/transport/control"
)

func (a *app) rolloutSetCommand() *cobra.Command {
	var (
		percent int
		list    []string
	)
	cmd := &cobra.Command{
		Use:   "set <service> [flags]",
		Short: "Choose who is sent to the rollout targets",
		Long: `Choose which visitors with a cookie kamal-rollout are sent to the rollout targets:
a percentage of them, those with a value from a list, or both.`,
		Args: oneService,
	}
	addTopic(cmd, defaultTopic, func(f *pflag.FlagSet) {
		f.IntVar(&percent, "percent", 0, "`share` of the visitors, from 0 to 100")
		f.StringSliceVar(&list, "list", nil, "`value` of the cookie that is sent there in any case")
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order := control.RolloutSet{Service: args[0], Percent: ifGiven(cmd.Flags(), "percent", &percent), List: list}
		if err := order.Validate(); err != nil {
			return err
		}
		return a.daemon().RolloutSet(cmd.Context(), order, nil)
	}
	return cmd
}
