package ingress

import (
	"crypto/tls"
	"errors"
)

var errNoCertificate = errors.New("no service has a certificate for this host")

// tlsConfig is Config.TLS for a source of certificates. Without one (nil), each
// handshake fails.
func tlsConfig(source func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	if source == nil {
		source = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errNoCertificate }
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: source,
	}
}
