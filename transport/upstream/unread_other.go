//go:build !linux

package upstream

// unread cannot be told here.
func (c *conn) unread() bool { return false }

// received cannot be told either: a target that answers is believed to have read.
func (c *conn) received() bool { return true }
