package pages

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"sync"
)

//go:embed builtin.html
var source string

var builtin = template.Must(template.New("builtin").Parse(source))

// Builtin returns the pages of our own design.
var Builtin = sync.OnceValue(func() *Pages {
	p := &Pages{ready: map[int][]byte{}}
	for status := 400; status < 600; status++ {
		if http.StatusText(status) != "" {
			p.ready[status] = design(status, "")
		}
	}
	return p
})

// design renders the built-in page.
func design(status int, message string) []byte {
	if message == "" {
		message = says(status)
	}
	var page bytes.Buffer
	err := builtin.Execute(&page, struct {
		Status         int
		Title, Message string
	}{status, title(status), message})
	if err != nil { // the template is ours and takes any text
		panic(err)
	}
	return page.Bytes()
}

// title is a status's name: RFC 9110's, but for the names that people know.
func title(status int) string {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return "Content Too Large"
	case http.StatusServiceUnavailable:
		return "Service Temporarily Unavailable"
	}
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Error"
}

// says tells a visitor, in one sentence or two, what to make of a status.
func says(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "The request could not be understood."
	case http.StatusNotFound:
		return "There is nothing at this address. It may have moved, or there may be a typing error in it."
	case http.StatusRequestEntityTooLarge:
		return "What you sent is larger than this site accepts."
	case http.StatusTooManyRequests:
		return "There were too many requests in a short time. Please wait a moment and try again."
	case http.StatusInternalServerError:
		return "Something went wrong on our side. Please try again later."
	case http.StatusBadGateway:
		return "The site is not answering right now. Please try again in a moment."
	case http.StatusServiceUnavailable:
		return "The site is taking a short break. Please try again in a moment."
	case http.StatusGatewayTimeout:
		return "The site took too long to answer. Please try again in a moment."
	}
	if status >= 500 {
		return "The site cannot answer this right now. Please try again later."
	}
	return "The site did not accept this request."
}
