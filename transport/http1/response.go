package http1

import (
	"bytes"

	"kamal-proxy/transport/exchange"
)

// ReadResponse reads the next response's head into res; method is that of the
// request it answers. Interim responses (1xx) are returned like final ones,
// but have no body. Tunnel and Close are left alone. The capacity of
// res.Header is used again.
//
// The error is io.EOF if nothing came before the end of the connection,
// io.ErrUnexpectedEOF if the end came within the head, ErrMalformedResponse if
// the head is refused, else the connection's.
func (r *Reader) ReadResponse(method string, res *exchange.Response) error {
	r.begin(true)
	head, err := r.responseHead()
	if err != nil {
		return err
	}
	end := bytes.IndexByte(head, '\n')
	status, minor, bad := parseStatusLine(head[:end-1])
	if bad != nil {
		return r.refuse(bad)
	}
	res.Status, res.Header = status, res.Header[:0]
	if bad := r.facts.parse(head[end+1:], &res.Header, r.limits.Fields, false); bad != nil {
		return r.refuse(bad)
	}
	kind, length, bad := r.facts.responseFraming(method, status, minor)
	if bad != nil {
		return r.refuse(bad)
	}
	r.body.begin(kind, length)
	res.ContentLength, res.Body, res.Trailer = length, &r.body, r.trailer
	return nil
}

// UpgradesTo returns the protocol that the head last read names in Upgrade,
// if its Connection has it too; else it is empty.
func (r *Reader) UpgradesTo() string {
	if !r.facts.connectUpgrade {
		return ""
	}
	return r.facts.upgrade
}

func (r *Reader) responseHead() ([]byte, error) {
	if r.pos == r.end {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	if r.buf[r.pos] != 'H' {
		return nil, r.refuse(errStatusLine)
	}
	head, err := r.section()
	return head, unexpected(err)
}

// parseStatusLine reads "VERSION STATUS REASON" (RFC 9112, section 4). The
// reason is optional, and so is the blank before it where there is none.
func parseStatusLine(line []byte) (status, minor int, err *Error) {
	const prefix = len("HTTP/1.1 200")
	if len(line) < prefix || !isVersion(stringOf(line[:8])) || line[8] != ' ' {
		return 0, 0, errStatusLine
	}
	if line[5] != '1' || line[7] > '1' {
		return 0, 0, errVersion
	}
	for _, c := range line[9:prefix] {
		if !isDigit(c) {
			return 0, 0, errStatusLine
		}
		status = status*10 + int(c-'0')
	}
	reason := stringOf(line[prefix:])
	if status < 100 || reason != "" && reason[0] != ' ' || !isText(reason) {
		return 0, 0, errStatusLine
	}
	return status, int(line[7] - '0'), nil
}

// responseFraming is framing for a response, which may have no body whatever
// its fields say, or one that ends with the connection.
func (f *facts) responseFraming(method string, status, minor int) (bodyKind, int64, *Error) {
	f.keepAlive = f.persists(minor)
	kind, length, err := f.framing(minor)
	if err != nil {
		return 0, 0, err
	}
	switch {
	case status < 200 || status == 204:
		if kind == chunkedBody || length > 0 { // what follows cannot be told
			f.keepAlive = false
		}
		return noBody, 0, nil
	case method == "HEAD" || status == 304:
		return noBody, 0, nil
	case kind == noBody:
		f.keepAlive = false
		return closeBody, -1, nil
	}
	return kind, length, nil
}
