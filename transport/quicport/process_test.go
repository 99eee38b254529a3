package quicport

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// process is what one process does: it answers each stream with its name and
// what the stream said.
type process struct {
	name      string
	port      *Port
	transport *quic.Transport
	conns     sync.WaitGroup
}

func startProcess(t *testing.T, port *Port, name string, policy *tls.Config) *process {
	t.Helper()
	p := &process{name: name, port: port, transport: port.Transport()}
	listener, err := p.transport.Listen(policy, &quic.Config{KeepAlivePeriod: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p.conns.Go(func() {
		for {
			conn, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			p.conns.Go(func() { p.serve(conn) })
		}
	})
	return p
}

func (p *process) serve(conn *quic.Conn) {
	for {
		stream, err := conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		p.conns.Go(func() {
			said, _ := io.ReadAll(stream)
			fmt.Fprintf(stream, "%s: %s", p.name, said)
			stream.Close()
		})
	}
}

// end ends the process, without a word to its clients.
func (p *process) end() {
	p.transport.Close()
	p.port.Close()
	p.conns.Wait()
}

// client is one connection to the port.
type client struct {
	t    *testing.T
	conn *quic.Conn
}

func dial(t *testing.T, at net.Addr, policy *tls.Config) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, at.String(), policy, &quic.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	return &client{t, conn}
}

// by asks for something large and returns who answers.
func (c *client) by() string {
	c.t.Helper()
	stream, err := c.conn.OpenStreamSync(c.t.Context())
	if err != nil {
		c.t.Error(err)
		return ""
	}
	stream.SetDeadline(time.Now().Add(patience))
	said := bytes.Repeat([]byte("x"), 200_000)
	go func() {
		stream.Write(said)
		stream.Close()
	}()
	answer, err := io.ReadAll(stream)
	if err != nil {
		c.t.Error(err)
		return ""
	}
	name, rest, _ := bytes.Cut(answer, []byte(": "))
	if !bytes.Equal(rest, said) {
		c.t.Errorf("%d bytes of %d came back, or others", len(rest), len(said))
	}
	return string(name)
}

func (c *client) wants(name string) {
	c.t.Helper()
	if got := c.by(); got != name {
		c.t.Errorf("process %s answers, want %s", got, name)
	}
}

// another returns the same socket with a descriptor of its own, as another
// process has it.
func another(t *testing.T, conn *net.UDPConn) *net.UDPConn {
	t.Helper()
	file, err := conn.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	copied, err := net.FilePacketConn(file)
	if err != nil {
		t.Fatal(err)
	}
	return copied.(*net.UDPConn)
}

// succeed has a new process take the port over from p.
func (p *process) succeed(t *testing.T, name string, policy *tls.Config) *process {
	t.Helper()
	return p.succeedFor(t, false, name, policy)
}

func (p *process) succeedFor(t *testing.T, good bool, name string, policy *tls.Config) *process {
	t.Helper()
	ours, theirs, err := NewLine()
	if err != nil {
		t.Fatal(err)
	}
	before, err := Line(theirs)
	if err != nil {
		t.Fatal(err)
	}
	p.port.HandTo(ours, good)
	p.port.HandedOn()
	return startProcess(t, New(another(t, p.port.UDPConn), p.port.Generation()+1, p.port.Key(), before), name, policy)
}

func listenUDP(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func policies(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"x"}}
	return server, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"x"}}
}
