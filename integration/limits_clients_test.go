package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func TestConnectionsOfOneClient(t *testing.T) {
	t.Parallel()
	t.Run("by address", func(t *testing.T) {
		d := startLimited(t, "--max-client-connections", "3")
		var first []*kept
		for range 3 {
			k := d.keep(t)
			want(t, "one of three", k, plainGet, 200)
			first = append(first, k)
		}
		if err := d.keep(t).ends(); err != nil {
			t.Errorf("the fourth: %v", err)
		}
		first[0].Conn.Close()
		eventually(t, "there is room again", func() error {
			if got, body := d.keep(t).ask(plainGet); got != 200 {
				return fmt.Errorf("%d %s", got, body)
			}
			return nil
		})
	})
	t.Run("named by the PROXY protocol", func(t *testing.T) {
		d := startLimited(t, "--max-client-connections", "1", "--proxy-protocol")
		introduced := func(client string) *kept {
			k := d.keep(t)
			fmt.Fprintf(k.Conn, "PROXY TCP4 %s 127.0.0.1 1000 80\r\n", client)
			return k
		}
		for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
			want(t, "the first of "+client, introduced(client), plainGet, 200)
			if err := introduced(client).ends(); err != nil {
				t.Errorf("the second of %s: %v", client, err)
			}
		}
	})
	t.Run("off by default", func(t *testing.T) {
		d := startLimited(t)
		for range 200 {
			want(t, "one of many", d.keep(t), plainGet, 200)
		}
	})
}

// A connection that has brought its requests is ended in good order: its client
// does not notice.
func TestRequestsOfOneConnection(t *testing.T) {
	t.Parallel()
	d := startLimited(t, "--max-connection-requests", "3")
	client := secureClient(t)
	connections := map[string]int{}
	for range 9 {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { connections[info.Conn.LocalAddr().String()]++ }}
		r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", fmt.Sprintf("https://localhost:%d/", d.https), nil)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Errorf("got %d", response.StatusCode)
		}
	}
	if len(connections) < 3 {
		t.Errorf("nine requests came on %d connections", len(connections))
	}
}

func TestResetsOfOneConnection(t *testing.T) {
	t.Parallel()
	d := startLimited(t, "--max-stream-resets", "10")
	for resets, code := range map[int]http2.ErrCode{40: http2.ErrCodeNo, 70: http2.ErrCodeEnhanceYourCalm} {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.https), &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, http2.ClientPreface)
		framer := http2.NewFramer(conn, conn)
		framer.WriteSettings()
		var block strings.Builder
		encoder := hpack.NewEncoder(&block)
		ask := func(id uint32, path string) {
			block.Reset()
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}} {
				encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true})
		}
		for i := range resets {
			ask(uint32(2*i+1), "/late")
			framer.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		}
		last := uint32(2*resets + 1)
		ask(last, "/")
		got, answered := http2.ErrCodeNo, false
		for !answered {
			frame, err := framer.ReadFrame()
			if err != nil {
				break
			}
			if away, ok := frame.(*http2.GoAwayFrame); ok {
				got = away.ErrCode
			}
			answered = frame.Header().StreamID == last && frame.Header().Type == http2.FrameHeaders
		}
		if got != code || answered != (code == http2.ErrCodeNo) {
			t.Errorf("after %d resets the connection is ended with %v, answered: %t", resets, got, answered)
		}
	}
}

// Handshakes that wait for their clients take nobody's turn, and junk ones are
// counted.
func TestHandshakesAtOnce(t *testing.T) {
	t.Parallel()
	d := startLimited(t, "--max-handshakes", "1")
	for range 100 {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.https))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "\x16\x03\x01\x02")
	}
	for range 20 {
		conn, err := d.dialSecure("localhost")()
		if err != nil {
			t.Fatal(err)
		}
		want(t, "an honest one", &kept{conn, bufio.NewReader(conn)}, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200)
		conn.Close()
	}
	before := d.metricOf("kamal_proxy_tls_handshake_failures_total")
	for _, junk := range []func() error{
		func() error { _, err := d.dialSecure("unknown.example")(); return err },
		func() error { _, err := d.dialSecure("")(); return err },
		func() error { return d.speak("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") },
		func() error { return d.speak("SSH-2.0-x\r\n") },
		func() error { return d.speak("") },
	} {
		junk()
	}
	eventually(t, "they are counted", func() error {
		if n := d.metricOf("kamal_proxy_tls_handshake_failures_total") - before; n < 4 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	for _, line := range d.log.lines() {
		if strings.Contains(line, "andshake") {
			t.Errorf("there is a line about one: %s", line)
		}
	}
}
