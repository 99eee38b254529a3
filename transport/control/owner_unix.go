//go:build unix

package control

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ofAnother reports whether a file is another user's, and so not ours to take
// away; everything is root's.
func ofAnother(file os.FileInfo) bool {
	stat, ok := file.Sys().(*syscall.Stat_t)
	return !ok || os.Geteuid() != 0 && int(stat.Uid) != os.Geteuid()
}

// ownerOf names the user that a file belongs to.
func ownerOf(path string) (owner string, known bool) {
	file, err := os.Lstat(path)
	if err != nil {
		return "", false
	}
	stat, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	uid := strconv.FormatUint(uint64(stat.Uid), 10)
	if u, err := user.LookupId(uid); err == nil {
		return fmt.Sprintf("%s (uid %s)", u.Username, uid), true
	}
	return "uid " + uid, true
}
