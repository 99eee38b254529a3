package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Both keep the library's words, which scripts may know, and say how the
// command is used instead.
var (
	oneService = telling(cobra.ExactArgs(1))
	noArgument = telling(cobra.NoArgs)
)

// usedAsSaid keeps the library from adding [flags] to commands that have none.
func usedAsSaid(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	for _, sub := range cmd.Commands() {
		usedAsSaid(sub)
	}
}

func telling(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fmt.Errorf("%w: it is used as %q", err, cmd.UseLine())
		}
		return nil
	}
}

// knownCommand refuses what is no command of cmd's, which only groups some.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(cmd *cobra.Command, name string) error {
	about := cmd.CommandPath()
	if cmd.HasParent() {
		about = cmd.Root().Name() + " help " + cmd.Name()
	} else {
		about += " help"
	}
	return fmt.Errorf("unknown command %q for %q: %q lists those there are", name, cmd.CommandPath(), about)
}

// explainFlag adds to the library's word about a flag that is none where those
// are that are some.
func explainFlag(cmd *cobra.Command, err error) error {
	if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) {
		return fmt.Errorf("%w: %q lists those there are", err, cmd.CommandPath()+" --help")
	}
	return err
}
