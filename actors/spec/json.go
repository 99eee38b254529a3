package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// MarshalJSON returns r's entry in the state file. Keys come in a fixed order,
// those that this version does not know last.
func (r *Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// AppendJSON appends what MarshalJSON returns to b.
func (r *Record) AppendJSON(b []byte) []byte { return appendObject(b, r) }

// UnmarshalJSON reads an entry of the state file, of this version or an older
// one. An absent key takes the default of deploy's flag. What it reads may not
// be fit to run: see Mend. If it fails, r is as it was.
func (r *Record) UnmarshalJSON(data []byte) error {
	keys, err := readKeys(data)
	if err != nil {
		return err
	}
	fresh := Record{
		Options:         DefaultOptions(),
		TargetOptions:   DefaultTargetOptions(),
		PauseController: Gate{FailAfter: DefaultMaxPause},
	}
	if err := fresh.readLegacy(keys); err != nil {
		return err
	}
	if err := take(keys, field{"options", &fresh.Options}); err != nil {
		return err
	}
	fresh.TargetOptions.ForwardHeaders = !fresh.Options.TLSEnabled
	if err := readFields(keys, &fresh); err != nil {
		return err
	}
	fresh.Options.fillLists()
	*r = fresh
	return nil
}

// readLegacy takes the keys of older files, which those of today replace.
func (r *Record) readLegacy(keys map[string]json.RawMessage) error {
	var active, rollout string
	for _, f := range []field{
		{"active_target", &active},
		{"rollout_target", &rollout},
		{"hosts", &r.Options.Hosts},
		{"path_prefixes", &r.Options.PathPrefixes},
	} {
		if err := take(keys, f); err != nil {
			return err
		}
	}
	if active != "" {
		r.ActiveTargets = []string{active}
	}
	if rollout != "" {
		r.RolloutTargets = []string{rollout}
	}
	return nil
}

func (o *Options) fillLists() {
	if len(o.Hosts) == 0 {
		o.Hosts = []string{AnyHost}
	}
	if len(o.PathPrefixes) == 0 {
		o.PathPrefixes = []string{"/"}
	}
}

// optional is a text of ours that is left out while it is empty: upstream has
// no such key.
type optional string

// choice is one of ours that is left out while it is not made.
type choice bool

// omitted reports whether a value is left out of the file.
func omitted(place any) bool {
	switch p := place.(type) {
	case *optional:
		return *p == ""
	case *choice:
		return !bool(*p)
	}
	return false
}

// nullable is a list that is written null when it is nil.
type nullable []string

func readKeys(data []byte) (map[string]json.RawMessage, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	if keys == nil {
		return nil, errors.New("null is not an entry")
	}
	return keys, nil
}

func readFields(keys map[string]json.RawMessage, o object) error {
	for _, f := range o.fields() {
		if err := take(keys, f); err != nil {
			return err
		}
	}
	if len(keys) > 0 {
		*o.unknown() = keys
	}
	return nil
}

// take moves a key's value to its place, where null and no key leave what is
// there.
func take(keys map[string]json.RawMessage, f field) error {
	raw, ok := keys[f.key]
	delete(keys, f.key)
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := read(raw, f.place); err != nil {
		return fmt.Errorf("%s: %w", f.key, err)
	}
	return nil
}

func read(raw json.RawMessage, place any) (err error) {
	switch p := place.(type) {
	case object:
		keys, err := readKeys(raw)
		if err != nil {
			return err
		}
		return readFields(keys, p)
	case **Rollout:
		return readRollout(raw, p)
	case *int:
		*p, err = readWhole[int](raw)
	case *int64:
		*p, err = readWhole[int64](raw)
	case *time.Duration:
		*p, err = readWhole[time.Duration](raw)
	case *State:
		*p, err = readWhole[State](raw)
	case *uint32: // upstream writes a fraction, and more than 100 percent
		var f float64
		err = json.Unmarshal(raw, &f)
		*p = uint32(max(0, min(f, math.MaxUint32)))
	default:
		err = json.Unmarshal(raw, place)
	}
	return err
}

func readRollout(raw json.RawMessage, place **Rollout) error {
	keys, err := readKeys(raw)
	if err != nil {
		return err
	}
	_, split := keys["percentage_split_point"]
	rollout := &Rollout{}
	if err := readFields(keys, rollout); err != nil {
		return err
	}
	if !split {
		rollout.PercentageSplitPoint = splitPoint(rollout.Percentage)
	}
	*place = rollout
	return nil
}

// readWhole reads a whole number, also one that is written as 1e9.
func readWhole[N ~int | ~int64](raw json.RawMessage) (N, error) {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return N(n), nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<62 {
		return 0, fmt.Errorf("%.40s is not a whole number", raw)
	}
	return N(f), nil
}

func appendObject(b []byte, o object) []byte {
	b = append(b, '{')
	for i, f := range o.fields() {
		if omitted(f.place) {
			continue
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, f.key)
		b = append(b, ':')
		b = appendValue(b, f.place)
	}
	unknown := *o.unknown()
	for _, key := range slices.Sorted(maps.Keys(unknown)) {
		b = append(b, ',')
		b = appendString(b, key)
		b = append(b, ':')
		b = append(b, unknown[key]...)
	}
	return append(b, '}')
}

func appendValue(b []byte, place any) []byte {
	switch p := place.(type) {
	case object:
		return appendObject(b, p)
	case **Rollout:
		if *p == nil {
			return append(b, "null"...)
		}
		return appendObject(b, *p)
	case *string:
		return appendString(b, *p)
	case *bool:
		return strconv.AppendBool(b, *p)
	case *int:
		return strconv.AppendInt(b, int64(*p), 10)
	case *int64:
		return strconv.AppendInt(b, *p, 10)
	case *time.Duration:
		return strconv.AppendInt(b, int64(*p), 10)
	case *State:
		return strconv.AppendInt(b, int64(*p), 10)
	case *uint32:
		return strconv.AppendUint(b, uint64(*p), 10)
	case *optional:
		return appendString(b, string(*p))
	case *choice:
		return strconv.AppendBool(b, bool(*p))
	case *nullable:
		if *p == nil {
			return append(b, "null"...)
		}
		return appendList(b, *p)
	case *[]string:
		return appendList(b, *p)
	}
	panic(fmt.Sprintf("no way to write a %T", place))
}

func appendList(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

func appendString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always has a JSON form
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
