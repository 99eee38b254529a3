package cli

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Each flag of each command has one row on the page of commands, with its
// default. The limits of run have theirs where they are explained.
func TestReferenceHasEveryFlag(t *testing.T) {
	page := rowsOf(t, "../docs/commands.md")
	for name, standard := range rowsOf(t, "../docs/operations.md")["Limits"] {
		if _, twice := page["run"][name]; twice {
			t.Errorf("--%s is explained on both pages", name)
		}
		page["run"][name] = standard
	}
	a := &app{env: func(string) string { return "" }, console: &console{}}
	for _, cmd := range leaves(a.root()) {
		command := strings.TrimPrefix(cmd.CommandPath(), "kamal-proxy ")
		rows := page[command]
		delete(page, command)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			standard, there := rows[f.Name]
			if f.Name != "help" && !there {
				t.Errorf("%s --%s is not on the page", command, f.Name)
			}
			if there && !sameDefault(f, standard) {
				t.Errorf("%s --%s: the page says %q, its default is %q", command, f.Name, standard, f.DefValue)
			}
			delete(rows, f.Name)
		})
		for name := range rows {
			t.Errorf("%s --%s is on the page, and is no flag", command, name)
		}
	}
	for command := range page {
		t.Errorf("%s is on the page, and is no command", command)
	}
}

// leaves are the commands that do something and are explained on their own.
func leaves(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasSubCommands() {
		if cmd.Name() == "help" || cmd.Name() == "version" {
			return nil
		}
		return []*cobra.Command{cmd}
	}
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(all, leaves(sub)...)
	}
	return all
}

var (
	section = regexp.MustCompile(`^##+ (.+)$`)
	flagRow = regexp.MustCompile("^\\| `--([a-z0-9-]+)` \\| ([^|]*)\\|")
)

// rowsOf has the defaults of a page's flags, by section and flag.
func rowsOf(t *testing.T, path string) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, in := map[string]map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := section.FindStringSubmatch(line); m != nil {
			in = m[1]
		}
		m := flagRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if rows[in] == nil {
			rows[in] = map[string]string{}
		}
		if _, twice := rows[in][m[1]]; twice {
			t.Errorf("%s: --%s has two rows in %q", path, m[1], in)
		}
		rows[in][m[1]] = strings.TrimSpace(m[2])
	}
	return rows
}

// sameDefault reports whether a cell says a flag's default: its value, and
// more words behind it where they help.
func sameDefault(f *pflag.Flag, cell string) bool {
	switch f.Name {
	case "tls-acme-cache-path": // depends on HOME
		return strings.HasPrefix(cell, "`certs`")
	case "forward-headers": // depends on another flag
		return cell == "on without `--tls`"
	}
	value, _, _ := strings.Cut(strings.ReplaceAll(cell, ":", " "), " ")
	switch f.Value.Type() {
	case "bool":
		return value == map[string]string{"true": "on", "false": "off"}[f.DefValue]
	case "duration":
		said, err1 := time.ParseDuration(value)
		is, err2 := time.ParseDuration(f.DefValue)
		return err1 == nil && err2 == nil && said == is
	}
	return value == strings.Trim(f.DefValue, "[]")
}
