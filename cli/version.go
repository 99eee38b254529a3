package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  noArgument,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.console.out, Version)
			return err
		},
	}
}
