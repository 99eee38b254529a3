package service

import (
	"strconv"
	"time"
)

// reads reports whether a request may go to a reader: a GET or HEAD of a
// client that has not just written. writer is its cookie, the unix
// milliseconds until which it stays with the writers.
func reads(f *Facts, p *Policy, now time.Time) bool {
	if f.Method != "GET" && f.Method != "HEAD" {
		return false
	}
	if f.Upgrade && !p.Options.ReadTargetsAcceptWebsockets {
		return false
	}
	if f.Writer == "" {
		return true
	}
	until, err := strconv.ParseInt(f.Writer, 10, 64)
	return err != nil || now.UnixMilli() >= until
}

// writes reports whether a client is to stay with the writers for a while
// after this request.
func writes(f *Facts, p *Policy) bool {
	return f.Method != "GET" && f.Method != "HEAD" && p.Options.WriterAffinityTimeout > 0
}
