package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one instruction of a Dockerfile, with its continuation lines
// joined. Variables in it are not yet replaced.
type instruction struct {
	line  int
	name  string
	flags map[string]string // without their dashes
	rest  string
}

func (i instruction) words() []string { return strings.Fields(i.rest) }

// stage is what stands from one FROM to the next.
type stage struct {
	base, name   string
	instructions []instruction
}

// readDockerfile takes the repository's Dockerfile apart.
func readDockerfile(t *testing.T) []stage {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages, err := parseDockerfile(string(text))
	if err != nil {
		t.Fatalf("Dockerfile: %v", err)
	}
	return stages
}

func parseDockerfile(text string) (stages []stage, err error) {
	for _, i := range instructions(text) {
		switch {
		case i.name == "FROM":
			s, err := from(i)
			if err != nil {
				return nil, err
			}
			stages = append(stages, s)
		case !slices.Contains([]string{"ARG", "CMD", "COPY", "ENV", "EXPOSE", "LABEL", "RUN", "USER", "WORKDIR"}, i.name):
			return nil, fmt.Errorf("line %d: the tests do not know the instruction %s", i.line, i.name)
		case len(stages) == 0:
			return nil, fmt.Errorf("line %d: %s stands before the first FROM", i.line, i.name)
		default:
			last := &stages[len(stages)-1]
			last.instructions = append(last.instructions, i)
		}
	}
	return stages, nil
}

var flag = regexp.MustCompile(`^--([a-z]+)=(\S+)\s+`)

func instructions(text string) (all []instruction) {
	begun, whole := 0, ""
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if whole == "" {
			begun = n + 1
		}
		part, goesOn := strings.CutSuffix(line, `\`)
		whole += part
		if goesOn {
			continue
		}
		name, rest, _ := strings.Cut(whole, " ")
		i := instruction{line: begun, name: strings.ToUpper(name), flags: map[string]string{}, rest: strings.TrimSpace(rest)}
		for m := flag.FindStringSubmatch(i.rest); m != nil; m = flag.FindStringSubmatch(i.rest) {
			i.flags[m[1]], i.rest = m[2], i.rest[len(m[0]):]
		}
		all, whole = append(all, i), ""
	}
	return all
}

func from(i instruction) (stage, error) {
	switch w := i.words(); {
	case len(w) == 1:
		return stage{base: w[0]}, nil
	case len(w) == 3 && strings.EqualFold(w[1], "as"):
		return stage{base: w[0], name: w[2]}, nil
	default:
		return stage{}, fmt.Errorf("line %d: FROM %s is not understood", i.line, i.rest)
	}
}

// config is what an image tells whoever runs it.
type config struct {
	cmd, exposed []string
	user         string
	env, labels  map[string]string
}

// configOf reads the last stage, with the stages it stands on.
func configOf(stages []stage, args map[string]string) (config, error) {
	c := config{env: map[string]string{}, labels: map[string]string{}}
	for _, s := range lineage(stages) {
		for _, i := range s.instructions {
			if err := c.take(i, args); err != nil {
				return c, fmt.Errorf("line %d: %w", i.line, err)
			}
		}
	}
	return c, nil
}

func (c *config) take(i instruction, args map[string]string) error {
	switch i.name {
	case "CMD":
		return json.Unmarshal([]byte(i.rest), &c.cmd)
	case "EXPOSE":
		c.exposed = append(c.exposed, i.words()...)
	case "USER":
		c.user = i.rest
	case "ENV", "LABEL":
		into := map[string]map[string]string{"ENV": c.env, "LABEL": c.labels}[i.name]
		for _, pair := range i.words() {
			key, value, found := strings.Cut(expand(pair, args), "=")
			if !found {
				return fmt.Errorf("%s is no key=value", pair)
			}
			into[key] = value
		}
	}
	return nil
}

// lineage is the last stage behind all those it begins with.
func lineage(stages []stage) (line []stage) {
	for at := len(stages) - 1; at >= 0; {
		line = append(line, stages[at])
		base := stages[at].base
		at = slices.IndexFunc(stages[:at], func(s stage) bool { return s.name == base })
	}
	slices.Reverse(line)
	return line
}

func expand(text string, args map[string]string) string {
	return os.Expand(text, func(name string) string { return args[name] })
}
