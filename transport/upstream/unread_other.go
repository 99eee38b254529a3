//go:build !linux

package upstream

// unread cannot be told here.
func (c *conn) unread() bool { return false }
