package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kamal-proxy/actors/spec"
	"kamal-proxy/transport/control"
)

// layout is the value of list's flag --output.
type layout string

const (
	narrow layout = "table"
	wide   layout = "wide"
	asJSON layout = "json"
)

func (l *layout) String() string { return string(*l) }
func (l *layout) Type() string   { return "layout" }

func (l *layout) Set(s string) error {
	if !slices.Contains([]layout{narrow, wide, asJSON}, layout(s)) {
		return errors.New("it is table, wide or json")
	}
	*l = layout(s)
	return nil
}

func (a *app) listCommand() *cobra.Command {
	output := narrow
	cmd := &cobra.Command{
		Use:     "list [flags]",
		Aliases: []string{"ls"},
		Short:   "Show the services",
		Long:    "Show the services: their hosts, paths and targets, and what they do with requests.",
		Args:    noArgument,
	}
	addTopic(cmd, defaultTopic, func(f *pflag.FlagSet) {
		f.VarP(&output, "output", "o", "`layout`: table, wide for more columns, or json for all there is")
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list := a.daemon().List
		if output != narrow {
			list = a.daemon().Examine
		}
		rows, err := list(cmd.Context())
		if err != nil {
			return err
		}
		return a.console.list(rows, output)
	}
	return cmd
}

func (c *console) list(rows []control.Row, output layout) error {
	if output == asJSON {
		return writeJSON(c.out, rows)
	}
	columns := basicColumns
	if output == wide {
		columns = slices.Concat(basicColumns, moreColumns)
	}
	return writeTable(c.out, columns, rows, c.outTTY && !c.plain)
}

// writeJSON escapes what a terminal obeys, too: it stands in strings only.
func writeJSON(w io.Writer, rows []control.Row) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(rows); err != nil {
		return err
	}
	var escaped strings.Builder
	for _, r := range text.String() {
		if r != '\n' && commanding(r) {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		} else {
			escaped.WriteRune(r)
		}
	}
	_, err := io.WriteString(w, escaped.String())
	return err
}

// The six columns that scripts may count on.
var basicColumns = []column[control.Row]{
	{"Service", func(r control.Row) cell { return cell{r.Service, bold} }},
	{"Host", func(r control.Row) cell { return text(joined(r.Hosts)) }},
	{"Path", func(r control.Row) cell { return text(joined(r.Paths)) }},
	{"Target", func(r control.Row) cell { return text(joined(r.Targets)) }},
	{"State", func(r control.Row) cell { return cell{r.State, stateStyle(r.State)} }},
	{"TLS", func(r control.Row) cell { return text(yesNo(r.TLS)) }},
}

// What --output wide has beside them.
var moreColumns = []column[control.Row]{
	{"Certificate", func(r control.Row) cell { return text(certificate(r.Record.Options)) }},
	{"Rollout", func(r control.Row) cell { return text(rollout(r.Record)) }},
	{"Check", func(r control.Row) cell { return text(check(r.Record.TargetOptions.HealthCheck)) }},
	{"Timeout", func(r control.Row) cell { return text(r.Record.TargetOptions.ResponseTimeout.String()) }},
	{"Buffers", func(r control.Row) cell { return text(buffers(r.Record.TargetOptions)) }},
	{"Balancing", func(r control.Row) cell { return text(balancing(r.Record.Options)) }},
	{"Health", func(r control.Row) cell { return cell{health(r.Health), healthStyle(r.Health)} }},
	{"Message", func(r control.Row) cell { return text(orNone(stopMessage(r.Record))) }},
}

// stopMessage is the message in force: the state file keeps the last one.
func stopMessage(r *spec.Record) string {
	if r.PauseController.State != spec.Stopped {
		return ""
	}
	return r.PauseController.StopMessage
}

func joined(list []string) string { return strings.Join(list, ",") }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func stateStyle(state string) style {
	switch state {
	case spec.Running.String():
		return green
	case spec.Paused.String():
		return yellow
	default:
		return red
	}
}

func certificate(o spec.Options) string {
	switch {
	case !o.TLSEnabled:
		return "-"
	case o.TLSCertificatePath != "":
		return "own"
	case o.TLSOnDemandURL != "":
		return "on demand"
	case strings.Contains(o.ACMEDirectory, "staging"):
		return "trial"
	default:
		return "automatic"
	}
}

func rollout(r *spec.Record) string {
	targets := joined(slices.Concat(r.RolloutTargets, r.RolloutReaders))
	switch {
	case targets == "":
		return "-"
	case r.Rollout == nil:
		return targets + " (nobody)"
	default:
		return fmt.Sprintf("%s (%d%%, %d listed)", targets, r.Rollout.Percentage, len(r.Rollout.Allowlist))
	}
}

func check(h spec.HealthCheck) string {
	path := h.Path
	if h.Port != 0 {
		path = fmt.Sprintf(":%d%s", h.Port, path)
	}
	return fmt.Sprintf("%s every %s", path, h.Interval)
}

func buffers(t spec.TargetOptions) string {
	var kinds []string
	if t.BufferRequests {
		kinds = append(kinds, "requests")
	}
	if t.BufferResponses {
		kinds = append(kinds, "responses")
	}
	return orNone(joined(kinds))
}
