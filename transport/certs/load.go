package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFile is more than any chain of certificates has, in bytes.
const maxFile = 1 << 20

// Load reads a certificate with its chain, and its private key, both PEM. It is
// called for each deploy and at restore, before an order reaches the registry.
// The error's first words are interface.
func Load(certificatePath, keyPath string) (*tls.Certificate, error) {
	chain, err := readFile(certificatePath)
	if err != nil {
		return nil, fmt.Errorf("unable to load certificate: see that the file of --tls-certificate-path is there and the proxy's user may read it: %w", err)
	}
	key, err := readFile(keyPath)
	if err != nil {
		return nil, fmt.Errorf("unable to load certificate: see that the file of --tls-private-key-path is there and the proxy's user may read it: %w", err)
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("unable to load certificate: give a certificate and its own private key, both PEM; %s and %s are not: %w", certificatePath, keyPath, err)
	}
	return &certificate, nil
}

// Roots are the authorities that are trusted to be a service's ACME directory.
type Roots struct {
	pool *x509.CertPool
	hash [sha256.Size]byte
}

// LoadRoots reads the file of --tls-acme-ca: one or more certificates, PEM.
// Only they are trusted.
func LoadRoots(path string) (*Roots, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("unable to load certificate authority: see that the file of --tls-acme-ca is there and the proxy's user may read it: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("unable to load certificate authority: %s has no certificate in PEM form; give --tls-acme-ca the root certificate of the ACME server", path)
	}
	return &Roots{pool: pool, hash: sha256.Sum256(data)}, nil
}

// readFile reads a plain file of bounded size. Others could keep it waiting, or
// never end.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New("it is not a file")}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = &os.PathError{Op: "read", Path: path, Err: errors.New("it is too large to be a certificate")}
	}
	return data, err
}
