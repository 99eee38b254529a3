package upstream

import "io"

// replay is a body of which a part was read before: it is read again first.
type replay struct {
	part []byte
	body io.Reader
}

func newReplay(part []byte, body io.Reader) *replay {
	return &replay{append([]byte(nil), part...), body}
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.part) == 0 {
		return r.body.Read(p)
	}
	n := copy(p, r.part)
	r.part = r.part[n:]
	return n, nil
}

// Close ends a Read of the body that is under way.
func (r *replay) Close() error {
	if c, ok := r.body.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
