package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kamal-proxy/transport/control"
)

func (a *app) rolloutDeployCommand() *cobra.Command {
	order := control.NewRolloutDeploy()
	cmd := &cobra.Command{
		Use:   "deploy <service> --target <host:port> [flags]",
		Short: "Give a service rollout targets",
		Long:  "Give a service rollout targets, with the options of its last deploy.",
		Args:  oneService,
	}
	addTopic(cmd, defaultTopic, func(f *pflag.FlagSet) {
		f.StringSliceVar(&order.Targets, "target", nil, "`host:port` that serves requests; port 80 when left out")
		f.StringSliceVar(&order.ReadTargets, "read-target", nil, "`host:port` that serves only GET and HEAD")
		f.DurationVar(&order.DeployTimeout, "deploy-timeout", order.DeployTimeout, "how long the new targets may take to get healthy, 0 for one check")
		f.DurationVar(&order.DrainTimeout, "drain-timeout", order.DrainTimeout, "how long requests on the old rollout targets may take")
	})
	cmd.MarkFlagRequired("target")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order.Service = args[0]
		if err := order.Validate(); err != nil {
			return err
		}
		steps := a.console.steps("the rollout goes to " + strings.Join(order.Targets, ", "))
		if err := a.daemon().RolloutDeploy(cmd.Context(), order, steps.told); err != nil {
			return err
		}
		a.warnForeign(order.Service, order.Foreign())
		return nil
	}
	return cmd
}
