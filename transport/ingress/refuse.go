package ingress

import (
	"errors"
	"fmt"
	"net/http"
	"os"

	"kamal-proxy/transport/exchange"
	"kamal-proxy/transport/http1"
)

var errSlowHead = &http1.Error{Status: http.StatusRequestTimeout, Reason: "its head took too long"}

// refuse answers what is no request, and reports whether there was anybody to
// answer.
func (c *conn) refuse(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSlowHead
	}
	var refusal *http1.Error
	if !errors.As(err, &refusal) {
		return false // the client has left
	}
	c.server.log.Debug().Err(refusal).Str("client", c.peer.client.String()).Msg("Request refused")
	page := refusalPage(refusal.Status)
	head := http1.ResponseHead{
		Status: refusal.Status,
		Header: exchange.Header{
			{Name: "Content-Type", Value: "text/html; charset=utf-8"},
			{Name: "Date", Value: c.server.clock.Date()},
		},
		Length: int64(len(page)),
	}
	x := c.x
	if x.writer.WriteResponse(&head) != nil {
		return false
	}
	x.writer.Write(page)
	x.reader.Discard(len(x.reader.Buffered()))
	return x.writer.End(nil) == nil
}

func refusalPage(status int) []byte {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return fmt.Appendf(nil, "<!DOCTYPE html>\n<html lang=\"en\"><head><title>%s</title></head><body><h1>%[1]s</h1></body></html>\n", title)
}
