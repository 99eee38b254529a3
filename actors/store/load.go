package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"kamal-proxy/actors/spec"
)

// Load returns the services that the data folder keeps, sorted by name. It is
// called by main before the store's first Save. disk nil is the machine's.
//
// No fault of one entry costs another, and nothing that could not be used is
// lost: the file is kept under another name, and the log says so. An error
// means that the file is there and cannot be read; going on would replace it.
func Load(dir string, disk Disk, log zerolog.Logger) ([]*spec.Record, error) {
	l := &loader{folder: newFolder(dir, disk), log: log, byName: map[string]*spec.Record{}}
	l.clean()
	state, there, err := l.read(stateFile)
	if err != nil {
		return nil, fmt.Errorf("unable to read the state file; let the proxy's user read it, move it away, or set HOME to another folder: %w", err)
	}
	if !there {
		log.Info().Msg("No previous state to restore")
		return nil, nil
	}
	state, entries := l.entries(state)
	l.take(stateFile, state, entries)
	l.loadMore(hashOf(contents(state)))

	records := make([]*spec.Record, 0, len(l.byName))
	for _, r := range l.byName {
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b *spec.Record) int { return strings.Compare(a.Name, b.Name) })
	return records, nil
}

type loader struct {
	folder
	log    zerolog.Logger
	byName map[string]*spec.Record
}

// entries returns the entries of the state file and the contents that they are
// of: the backup's if the file is damaged.
func (l *loader) entries(state []byte) ([]byte, []json.RawMessage) {
	entries, err := parseArray(state)
	if err == nil {
		return state, entries
	}
	l.keepAside(stateFile, state, "The state file is damaged", err)
	if backup, there, err := l.read(stateFile + backupSuffix); there || err != nil {
		older, damage := parseArray(backup)
		if err == nil && damage == nil {
			l.log.Error().Int("services", len(older)).Msg("The state is restored from its backup: the last change before the damage is not in it")
			l.restore(stateFile, backup)
			return backup, older
		}
		if err == nil {
			l.keepAside(stateFile+backupSuffix, backup, "The backup of the state file is damaged, too", damage)
		} else {
			l.log.Error().Err(err).Msg("Unable to read the backup of the state file")
		}
	}
	l.log.Error().Int("services", len(entries)).Msg("There is no backup of the state: only what comes before the damage is restored, deploy the other services again")
	return state, entries
}

// restore puts a backup in the place of its damaged file, so that the file is
// there at the next start, too.
func (l *loader) restore(file string, backup []byte) {
	if err := l.put(file, backup); err != nil {
		l.log.Error().Err(err).Str("file", l.path(file)).Msg("Unable to put the backup in the place of a damaged file")
	}
}

// parseArray returns the entries of a state file; if it is damaged, those
// before the damage.
func parseArray(data []byte) (entries []json.RawMessage, err error) {
	if err = json.Unmarshal(data, &entries); err == nil {
		return entries, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if begin, _ := d.Token(); begin != json.Delim('[') {
		return nil, err
	}
	for entries = nil; d.More(); {
		var entry json.RawMessage
		if d.Decode(&entry) != nil {
			break
		}
		entries = append(entries, entry)
	}
	return entries, err
}

// take reads the entries of a file. One that cannot be used costs itself only.
func (l *loader) take(file string, data []byte, entries []json.RawMessage) {
	var refused error
	for i, entry := range entries {
		if err := l.takeOne(entry); err != nil {
			refused = fmt.Errorf("entry %d: %w", i+1, err)
			l.log.Error().Err(refused).Str("file", file).Msg("A service could not be restored, deploy it again")
		}
	}
	if refused != nil {
		l.keepAside(file, data, "The file is kept for what could not be restored", refused)
	}
}

func (l *loader) takeOne(entry json.RawMessage) error {
	r := &spec.Record{}
	if err := r.UnmarshalJSON(entry); err != nil {
		return fmt.Errorf("service %q is not to be understood: %w", nameOf(entry), err)
	}
	changes, err := r.Mend()
	for _, change := range changes {
		l.log.Warn().Str("service", r.Name).Str("change", change).Msg("A value in the state was changed")
	}
	if err != nil {
		return err
	}
	if l.byName[r.Name] != nil {
		return fmt.Errorf("there is another entry for service %s", r.Name)
	}
	l.byName[r.Name] = r
	return nil
}

// nameOf returns what can be told of an entry that does not load.
func nameOf(entry json.RawMessage) string {
	var named struct{ Name any }
	_ = json.Unmarshal(entry, &named)
	return fmt.Sprint(named.Name)
}

// loadMore adds the services of the second file. What the first one has, it
// has: somebody else may have written it since.
func (l *loader) loadMore(state string) {
	data, there, err := l.read(moreFile)
	if err != nil {
		l.log.Error().Err(err).Msg("Unable to read the second state file: its services are not restored")
	}
	if !there {
		return
	}
	m, err := parseMore(data)
	if err != nil {
		l.keepAside(moreFile, data, "The second state file is damaged", err)
		backup, _, _ := l.read(moreFile + backupSuffix)
		if m, err = parseMore(backup); err != nil {
			l.log.Error().Msg("There is no backup of the second state file: deploy its services again")
			return
		}
		l.restore(moreFile, backup)
		data = backup
	}
	l.take(moreFile, data, l.unclaimed(m.of(state)))
}

// unclaimed drops the entries whose name, or a host and path of which, the
// state file gives to a service.
func (l *loader) unclaimed(entries []json.RawMessage) []json.RawMessage {
	claimed := map[string]string{}
	for _, r := range l.byName {
		claimed["name "+r.Name] = r.Name
		for _, place := range places(r) {
			claimed[place] = r.Name
		}
	}
	return slices.DeleteFunc(slices.Clone(entries), func(entry json.RawMessage) bool {
		r := &spec.Record{}
		if r.UnmarshalJSON(entry) != nil {
			return false // take tells of it
		}
		_, _ = r.Mend() // so does it of this
		for _, place := range append(places(r), "name "+r.Name) {
			if owner, taken := claimed[place]; taken {
				l.log.Error().Str("service", r.Name).Str("by", owner).Msg("A service is not restored: its name, or its host and path, has been given to another since")
				return true
			}
		}
		return false
	})
}

func places(r *spec.Record) []string {
	places := make([]string, 0, len(r.Options.Hosts)*len(r.Options.PathPrefixes))
	for _, host := range r.Options.Hosts {
		for _, prefix := range r.Options.PathPrefixes {
			places = append(places, "at "+host+prefix)
		}
	}
	return places
}

func (l *loader) keepAside(file string, data []byte, what string, cause error) {
	aside, err := l.setAside(file, data, time.Now())
	if err != nil {
		l.log.Error().Err(err).Str("file", file).Msg("Unable to keep a copy of it")
	}
	l.log.Error().Err(cause).Str("file", l.path(file)).Str("kept_as", aside).Msg(what)
}
