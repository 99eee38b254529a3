package spec

import (
	"slices"
	"strings"
)

// Normalize brings r, which must not be published yet, into the form in which
// it is kept and compared. It fails for what has no such form; r is then as it
// was.
func (r *Record) Normalize() error {
	o := r.Options
	var err error
	if o.Hosts, err = NormalizeHosts(o.Hosts); err != nil {
		return err
	}
	if o.PathPrefixes, err = NormalizePathPrefixes(o.PathPrefixes); err != nil {
		return err
	}
	if o.CanonicalHost, err = NormalizeHost(o.CanonicalHost); err != nil {
		return err
	}
	o.TLSOnDemandURL = strings.TrimSpace(o.TLSOnDemandURL)
	o.ClientIPHeader = strings.TrimSpace(o.ClientIPHeader)
	if o.LoadBalancing == RoundRobin {
		o.LoadBalancing = ""
	}
	o.ExcludeMetricsPaths = tidy(o.ExcludeMetricsPaths, same)
	r.Options = o

	t := &r.TargetOptions
	t.HealthCheck.Path = normalizeCheckPath(t.HealthCheck.Path)
	t.HealthCheck.Host = strings.TrimSpace(t.HealthCheck.Host)
	t.LogRequestHeaders = tidy(t.LogRequestHeaders, strings.EqualFold)
	t.LogResponseHeaders = tidy(t.LogResponseHeaders, strings.EqualFold)
	return nil
}

// NormalizeHosts is NormalizeHost for a list: without doubles, and AnyHost
// alone when it is empty.
func NormalizeHosts(hosts []string) ([]string, error) {
	return normalizeList(hosts, NormalizeHost)
}

// NormalizePathPrefixes is NormalizePathPrefix for a list: without doubles, and
// the root alone when it is empty.
func NormalizePathPrefixes(prefixes []string) ([]string, error) {
	return normalizeList(prefixes, NormalizePathPrefix)
}

func normalizeList(list []string, normalize func(string) (string, error)) ([]string, error) {
	if len(list) == 0 {
		list = []string{""}
	}
	normal := make([]string, len(list))
	for i, given := range list {
		var err error
		if normal[i], err = normalize(given); err != nil {
			return nil, err
		}
	}
	return unique(normal, same), nil
}

// normalizeCheckPath gives a path its leading slash. A query stays.
func normalizeCheckPath(path string) string {
	path = strings.TrimSpace(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path
}

// tidy drops blanks around the members of list, empty ones and doubles.
func tidy(list []string, same func(a, b string) bool) []string {
	if len(list) == 0 {
		return list
	}
	trimmed := slices.Clone(list)
	for i, s := range trimmed {
		trimmed[i] = strings.TrimSpace(s)
	}
	return unique(slices.DeleteFunc(trimmed, func(s string) bool { return s == "" }), same)
}

func same(a, b string) bool { return a == b }
