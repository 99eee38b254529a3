package cli

import "github.com/spf13/cobra"

func (a *app) rolloutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "Try new targets with some of the visitors",
		Long: `Try new targets with some of the visitors of a service: those whose cookie
kamal-rollout is in a list, or falls within a percentage. First deploy rollout
targets, then set who is sent to them.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.rolloutDeployCommand(), a.rolloutSetCommand(), a.rolloutStopCommand())
	return cmd
}
