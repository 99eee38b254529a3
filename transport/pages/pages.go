// Package pages renders the pages that a client sees when the proxy itself
// answers: its own design, or the templates that an operator brings along.
package pages

import (
	"bytes"
	"html/template"
	"strconv"
	"sync/atomic"
)

// ContentType is every page's.
const ContentType = "text/html; charset=utf-8"

// Pages is a set of error pages. It is immutable and used by many requests at
// once; a nil *Pages is the built-in set.
type Pages struct {
	templates map[int]*template.Template // an operator's
	ready     map[int][]byte             // rendered without a message
	last      atomic.Pointer[rendering]  // of those with one
}

// facts is what an operator's template is told.
type facts struct{ Message string }

// rendering is a page with a message. A stopped service shows the same one to
// everybody.
type rendering struct {
	status  int
	message string
	page    []byte
}

// Render returns the page for a status, as HTML of type ContentType. message
// is shown on it, escaped, unless it is empty. The bytes are shared and must
// not be changed.
func (p *Pages) Render(status int, message string) []byte {
	if p == nil {
		p = Builtin()
	}
	if message == "" {
		if page, ok := p.ready[status]; ok {
			return page
		}
		return p.render(status, message)
	}
	if last := p.last.Load(); last != nil && last.status == status && last.message == message {
		return last.page
	}
	page := p.render(status, message)
	p.last.Store(&rendering{status, message, page})
	return page
}

// render falls back to the built-in page where there is no template, or where
// it fails.
func (p *Pages) render(status int, message string) []byte {
	if page, err := p.execute(status, message); err == nil && page != nil {
		return page
	}
	return design(status, message)
}

func (p *Pages) execute(status int, message string) ([]byte, error) {
	t := p.templates[status]
	if t == nil {
		return nil, nil
	}
	var page bytes.Buffer
	if err := t.ExecuteTemplate(&page, fileName(status), facts{message}); err != nil {
		return nil, err
	}
	return page.Bytes(), nil
}

func fileName(status int) string { return strconv.Itoa(status) + ".html" }
