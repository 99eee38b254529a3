package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"sync"

	"golang.org/x/crypto/acme"
)

// isChallenge reports whether a handshake is an authority's TLS-ALPN-01
// validation (RFC 8737, section 3): it offers that protocol alone.
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto
}

// sample stands for any certificate of the kind that issuers get first.
var sample = sync.OnceValue(func() *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil { // crypto/rand does not fail
		panic(err)
	}
	return &tls.Certificate{PrivateKey: key, Certificate: [][]byte{nil}}
})

// needsRSA reports whether a client cannot use a certificate for an ECDSA key.
// autocert's own test takes clients that speak TLS 1.3 alone for such.
func needsRSA(hello *tls.ClientHelloInfo) bool {
	anonymous := *hello
	anonymous.ServerName = ""
	return anonymous.SupportsCertificate(sample()) != nil
}

// helloFor is a handshake as autocert reads it: a name, and the kind of key.
func helloFor(k key) *tls.ClientHelloInfo {
	suite := tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	if k.rsa {
		suite = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	}
	return &tls.ClientHelloInfo{ServerName: k.host, CipherSuites: []uint16{suite}}
}
