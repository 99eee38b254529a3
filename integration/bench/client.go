package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// client is one HTTP/1.1 connection.
type client struct {
	c  net.Conn
	br *bufio.Reader
}

func (l *load) dial() (*client, error) {
	c, err := net.DialTimeout("tcp", l.cfg.Addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if l.cfg.TLS {
		t := tls.Client(c, l.tls)
		if err := t.Handshake(); err != nil {
			c.Close()
			return nil, err
		}
		c = t
	}
	size := 4 << 10
	if l.cfg.Path == "/1m" || l.cfg.BodySize > 0 {
		size = 64 << 10
	}
	return &client{c, bufio.NewReaderSize(c, size)}, nil
}

var errStatus = errors.New("status")

// do sends a request and reads the whole response. It says whether the
// connection can be used again.
func (c *client) do(req []byte) (n int, reuse bool, err error) {
	if _, err = c.c.Write(req); err != nil {
		return
	}
	line, err := c.br.ReadSlice('\n')
	if err != nil {
		return
	}
	if len(line) < 12 {
		return 0, false, fmt.Errorf("bad status line %q", line)
	}
	status := string(line[9:12])
	length, chunked := -1, false
	reuse = true
	for {
		line, err = c.br.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		if len(line) <= 2 {
			break
		}
		switch line[0] | 0x20 {
		case 'c':
			if v := headerValue(line, "content-length"); v != nil {
				length, _ = strconv.Atoi(string(v))
			} else if v := headerValue(line, "connection"); v != nil && bytes.EqualFold(v, []byte("close")) {
				reuse = false
			}
		case 't':
			chunked = chunked || headerValue(line, "transfer-encoding") != nil
		}
	}
	switch {
	case chunked:
		var b []byte
		if b, err = readChunked(c.br, nil); err != nil {
			return 0, false, err
		}
		n = len(b)
	case length >= 0:
		if n, err = c.br.Discard(length); err != nil {
			return 0, false, err
		}
	default:
		m, err := io.Copy(io.Discard, c.br)
		if err != nil {
			return int(m), false, err
		}
		n, reuse = int(m), false
	}
	if status != "200" {
		err = fmt.Errorf("%w %s", errStatus, status)
	}
	return
}
