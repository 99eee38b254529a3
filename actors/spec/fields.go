package spec

import (
	"encoding/json"
)

// field is one key of the state file and the place of its value.
type field struct {
	key   string
	place any
}

// object is a value whose keys, in the order in which they are written, are
// its fields. What else the file has for it is kept in unknown.
type object interface {
	fields() []field
	unknown() *map[string]json.RawMessage
}

func (r *Record) fields() []field {
	return []field{
		{"name", &r.Name},
		{"options", &r.Options},
		{"target_options", &r.TargetOptions},
		{"active_targets", &r.ActiveTargets},
		{"active_readers", &r.ActiveReaders},
		{"rollout_targets", (*nullable)(&r.RolloutTargets)},
		{"rollout_readers", (*nullable)(&r.RolloutReaders)},
		{"pause_controller", &r.PauseController},
		{"rollout_controller", &r.Rollout},
	}
}

func (o *Options) fields() []field {
	return []field{
		{"hosts", &o.Hosts},
		{"path_prefixes", &o.PathPrefixes},
		{"tls_enabled", &o.TLSEnabled},
		{"tls_certificate_path", &o.TLSCertificatePath},
		{"tls_private_key_path", &o.TLSPrivateKeyPath},
		{"tls_on_demand_url", &o.TLSOnDemandURL},
		{"tls_redirect", &o.TLSRedirect},
		{"canonical_host", &o.CanonicalHost},
		{"acme_directory", &o.ACMEDirectory},
		{"acme_cache_path", &o.ACMECachePath},
		{"acme_ca_path", (*optional)(&o.ACMECAPath)},
		{"error_page_path", &o.ErrorPagePath},
		{"strip_prefix", &o.StripPrefix},
		{"writer_affinity_timeout", &o.WriterAffinityTimeout},
		{"read_targets_accept_websockets", &o.ReadTargetsAcceptWebsockets},
		{"exclude_metrics_paths", &o.ExcludeMetricsPaths},
		{"client_ip_header", &o.ClientIPHeader},
		{"load_balancing", (*optional)(&o.LoadBalancing)},
		{"sticky", (*choice)(&o.Sticky)},
		{"sticky_key", (*optional)(&o.StickyKey)},
	}
}

func (t *TargetOptions) fields() []field {
	return []field{
		{"health_check_config", &t.HealthCheck},
		{"response_timeout", &t.ResponseTimeout},
		{"buffer_requests", &t.BufferRequests},
		{"buffer_responses", &t.BufferResponses},
		{"max_memory_buffer_size", &t.MaxMemoryBufferSize},
		{"max_request_body_size", &t.MaxRequestBodySize},
		{"max_response_body_size", &t.MaxResponseBodySize},
		{"log_request_headers", &t.LogRequestHeaders},
		{"log_response_headers", &t.LogResponseHeaders},
		{"forward_headers", &t.ForwardHeaders},
		{"scope_cookie_paths", &t.ScopeCookiePaths},
	}
}

func (h *HealthCheck) fields() []field {
	return []field{
		{"path", &h.Path},
		{"port", &h.Port},
		{"interval", &h.Interval},
		{"timeout", &h.Timeout},
		{"host", &h.Host},
	}
}

func (g *Gate) fields() []field {
	return []field{
		{"state", &g.State},
		{"stop_message", &g.StopMessage},
		{"fail_after", &g.FailAfter},
	}
}

func (r *Rollout) fields() []field {
	return []field{
		{"percentage", &r.Percentage},
		{"percentage_split_point", &r.PercentageSplitPoint},
		{"allowlist", (*nullable)(&r.Allowlist)},
	}
}

func (r *Record) unknown() *map[string]json.RawMessage        { return &r.extra }
func (o *Options) unknown() *map[string]json.RawMessage       { return &o.extra }
func (t *TargetOptions) unknown() *map[string]json.RawMessage { return &t.extra }
func (h *HealthCheck) unknown() *map[string]json.RawMessage   { return &h.extra }
func (g *Gate) unknown() *map[string]json.RawMessage          { return &g.extra }
func (r *Rollout) unknown() *map[string]json.RawMessage       { return &r.extra }
