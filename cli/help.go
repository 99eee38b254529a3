package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Explain a command and its flags",

		DisableFlagsInUseLine: true, // the library adds this command later

		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownCommand(about, rest[0])
			}
			printHelp(a.console.out, about)
			return nil
		},
	}
}

func printHelp(w io.Writer, cmd *cobra.Command) {
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n", about)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s <command>\n\nCommands:\n", cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(w, "  %-10s %s\n", sub.Name(), sub.Short)
			}
		}
		fmt.Fprintf(w, "\n\"%s\" explains a command and its flags.\n", helpFor(cmd))
	} else {
		fmt.Fprintf(w, "  %s\n", cmd.UseLine())
		for _, alias := range cmd.Aliases {
			fmt.Fprintf(w, "  %s for short\n", alias)
		}
	}
	for _, t := range topicsOf(cmd) {
		fmt.Fprintf(w, "\n%s:\n%s", t.title, t.flags.FlagUsagesWrapped(helpWidth))
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
}

func helpFor(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return cmd.Name() + " help <command>"
	}
	return cmd.Root().Name() + " help " + cmd.Name() + " <command>"
}

// topic is a group of flags that help shows together.
type topic struct {
	title string
	flags *pflag.FlagSet
}

const (
	topicKey     = "topic"
	defaultTopic = "Flags"
	helpWidth    = 110 // columns
)

// addTopic gives cmd the flags that add defines, under one title.
func addTopic(cmd *cobra.Command, title string, add func(*pflag.FlagSet)) *pflag.FlagSet {
	flags := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.SortFlags = false
	add(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		f.Annotations = map[string][]string{topicKey: {title}}
	})
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(flags)
	return flags
}

// topicsOf returns cmd's flags by topic, in the order of their definition.
func topicsOf(cmd *cobra.Command) []topic {
	var topics []topic
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		titled := f.Annotations[topicKey]
		if titled == nil {
			return // --help and --version, which are the library's
		}
		if n := len(topics); n == 0 || topics[n-1].title != titled[0] {
			set := pflag.NewFlagSet(titled[0], pflag.ContinueOnError)
			set.SortFlags = false
			topics = append(topics, topic{titled[0], set})
		}
		topics[len(topics)-1].flags.AddFlag(f)
	})
	return topics
}
