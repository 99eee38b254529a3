package ingress

import (
	"crypto/tls"
	"errors"
)

// errNoCertificate fails the handshakes of a server that has no certificates.
var errNoCertificate = errors.New("no service has a certificate for this host")

// CertificateSource gives the certificate for a handshake, or an error that
// fails it. It is called by many goroutines at once.
type CertificateSource func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// TLSConfig is Config.TLS for a source of certificates. As long as there is
// none (nil), each handshake fails.
func TLSConfig(source CertificateSource) *tls.Config {
	if source == nil {
		source = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errNoCertificate }
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: source,
	}
}
