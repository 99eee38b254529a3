package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/acme/autocert"
)

// folder keeps an issuer's account and certificates on disk, in the form of
// autocert, which upstream uses, too.
type folder struct {
	autocert.DirCache
	log zerolog.Logger
}

func newFolder(path string, log zerolog.Logger) folder {
	return folder{DirCache: autocert.DirCache(path), log: log}
}

// Get implements autocert.Cache. A damaged certificate is as good as none.
func (f folder) Get(ctx context.Context, name string) ([]byte, error) {
	data, err := f.DirCache.Get(ctx, name)
	if err != nil {
		if err == autocert.ErrCacheMiss {
			return nil, err
		}
		return nil, fmt.Errorf("unable to read from the certificate folder, see that the proxy's user may read its files: %w", err)
	}
	if isCertificate(name) {
		if _, err := tls.X509KeyPair(data, data); err != nil {
			f.log.Error().Err(err).Str("file", filepath.Join(string(f.DirCache), name)).Msg("A kept certificate is damaged, another is got in its place")
			return nil, autocert.ErrCacheMiss
		}
	}
	return data, nil
}

// Put implements autocert.Cache. autocert goes on with a certificate that could
// not be kept, and does not say so.
func (f folder) Put(ctx context.Context, name string, data []byte) error {
	err := f.DirCache.Put(ctx, name, data)
	if err == nil {
		return nil
	}
	if isCertificate(name) {
		f.log.Error().Err(err).Str("file", filepath.Join(string(f.DirCache), name)).
			Msg("Unable to keep a certificate, after a restart it has to be got again: see that the proxy's user may write to the folder")
	}
	return fmt.Errorf("unable to write to the certificate folder, see that the proxy's user may write to it: %w", err)
}

// has reports whether there is a certificate that can be used now.
func (f folder) has(k key) bool {
	data, err := os.ReadFile(filepath.Join(string(f.DirCache), k.file()))
	if err != nil {
		return false
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return false
	}
	now := time.Now()
	return now.After(pair.Leaf.NotBefore) && now.Before(pair.Leaf.NotAfter) && pair.Leaf.VerifyHostname(k.host) == nil
}

// isCertificate tells a host's certificate from autocert's other files: its
// account and the answers to challenges.
func isCertificate(name string) bool {
	_, kind, marked := strings.Cut(name, "+")
	return name != "acme_account.key" && (!marked || kind == "rsa")
}
