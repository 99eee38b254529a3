// Package cli is the command kamal-proxy: what is typed becomes an order to
// the daemon, or the daemon itself.
package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"kamal-proxy/transport/control"
)

// Version is set by the linker.
var Version = "dev"

// Run is the daemon: it returns when ctx has ended and it has shut down, or
// when it could not start.
type Run func(ctx context.Context, options RunOptions) error

// Execute carries out the command that args, without the program's name, make,
// and returns the code to exit with: 0, or 1 after a line on stderr that says
// what went wrong.
func Execute(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer, run Run) int {
	a := &app{env: env, run: run, console: newConsole(env, stdout, stderr)}
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // nil would be the process's own
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		a.console.fail(err)
		return 1
	}
	return 0
}

// app is one invocation: what its commands share.
type app struct {
	env     func(string) string
	run     Run
	console *console
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kamal-proxy",
		Short: "An HTTP proxy that replaces web apps without a gap",
		Long: `kamal-proxy stands in front of web apps and sends each request to the right one.
A new version of an app takes over when it is healthy; the old one finishes what
it has begun. Start the proxy with "run"; all other commands tell it what to do.`,
		Args:               knownCommand,
		RunE:               func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:            Version,
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(a.console.out, cmd) })
	root.SetHelpCommand(a.helpCommand())
	root.SetFlagErrorFunc(explainFlag)
	root.AddCommand(
		a.runCommand(),
		a.deployCommand(),
		a.listCommand(),
		a.pauseCommand(),
		a.stopCommand(),
		a.resumeCommand(),
		a.removeCommand(),
		a.rolloutCommand(),
		a.upgradeCommand(),
		a.versionCommand(),
	)
	usedAsSaid(root)
	return root
}

func (a *app) daemon() *control.Client {
	return control.NewClient(control.SocketPath(a.env))
}
