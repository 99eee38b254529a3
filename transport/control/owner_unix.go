//go:build unix

package control

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

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
