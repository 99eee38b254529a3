package store

import (
	"bytes"
	"encoding/json"
	"slices"
)

// more is the file beside the state file: the services that upstream's proxy
// would not load. A change of both files is a change of one, so that a power
// cut between them mixes nothing: a generation names the contents of the state
// file that it belongs to, and the file always holds the generation of the
// state file that is there, as well as of the one that is about to take its
// place (and so, afterwards, of the state file and its backup). The rename of
// the state file switches both.
type more struct {
	Generations []generation `json:"generations"` // the newest is the last
}

type generation struct {
	State    string            `json:"state"` // sha256 of the state file, in hex
	Services []json.RawMessage `json:"services"`
}

func parseMore(data []byte) (more, error) {
	var m more
	err := json.Unmarshal(data, &m)
	return m, err
}

// of returns what belongs to a state file. If that is one that the file does
// not know, because somebody else wrote it, it is the newest that there is.
func (m more) of(state string) []json.RawMessage {
	for _, g := range slices.Backward(m.Generations) {
		if g.State == state {
			return g.Services
		}
	}
	if n := len(m.Generations); n > 0 {
		return m.Generations[n-1].Services
	}
	return nil
}

// next returns the file that goes with the change of the state file from
// present, which is empty if there is none, to state.
func (m more) next(present, state string, services []json.RawMessage) more {
	var n more
	if present == state { // the state file stays, and so does its backup
		for _, g := range m.Generations {
			if g.State != state {
				n.Generations = []generation{g}
			}
		}
	} else if present != "" {
		n.Generations = []generation{{State: present, Services: m.of(present)}}
	}
	n.Generations = append(n.Generations, generation{State: state, Services: services})
	return n
}

// empty reports whether no service is in it, whatever the state file.
func (m more) empty() bool {
	return !slices.ContainsFunc(m.Generations, func(g generation) bool { return len(g.Services) > 0 })
}

func (m more) encode() ([]byte, error) {
	var b bytes.Buffer
	err := json.NewEncoder(&b).Encode(m)
	return b.Bytes(), err
}
