package service

// redirect decides whether a request is to come again by another scheme or
// host; one redirect does for both.
func redirect(f *Facts) (scheme, host string, needed bool) {
	s := f.Settings
	if s == nil {
		return "", "", false
	}
	scheme, host = "http", f.Host
	if f.TLS {
		scheme = "https"
	}
	if s.Enabled && s.Redirect && !f.TLS {
		scheme, needed = "https", true
	}
	if s.CanonicalHost != "" && s.CanonicalHost != f.Host {
		host, needed = s.CanonicalHost, true
	}
	return scheme, host, needed
}

// insecure reports whether a request came over TLS for a service that has
// none.
func insecure(f *Facts) bool {
	return f.TLS && (f.Settings == nil || !f.Settings.Enabled)
}
