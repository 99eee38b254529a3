package control

import (
	"slices"

	"kamal-proxy/actors/spec"
	"kamal-proxy/actors/store"
)

// rows is never nil, so that its JSON is an array.
func rows(snapshot store.Snapshot) []Row {
	rows := []Row{}
	if snapshot != nil {
		for r := range snapshot.Each {
			rows = append(rows, newRow(r))
		}
	}
	return rows
}

func newRow(r *spec.Record) Row {
	hosts := slices.Clone(r.Options.Hosts)
	for i, host := range hosts {
		if host == spec.AnyHost {
			hosts[i] = "*"
		}
	}
	return Row{
		Service: r.Name,
		Hosts:   hosts,
		Paths:   slices.Clone(r.Options.PathPrefixes),
		Targets: slices.Concat(r.ActiveTargets, r.ActiveReaders),
		State:   r.PauseController.State.String(),
		TLS:     r.Options.TLSEnabled,
		Record:  r,
	}
}
