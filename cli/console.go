package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// console is where a command speaks. What is for a person's eyes only goes to
// a terminal only.
type console struct {
	out, err       io.Writer
	outTTY, errTTY bool
	plain          bool // no colours and no moving of the cursor
	width          func() int
}

func newConsole(env func(string) string, stdout, stderr io.Writer) *console {
	return &console{
		out:    stdout,
		err:    stderr,
		outTTY: isTerminal(stdout),
		errTTY: isTerminal(stderr),
		plain:  env("NO_COLOR") != "" || env("TERM") == "dumb",
		width:  func() int { return widthOf(stderr) },
	}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// widthOf is 0 when it is not known.
func widthOf(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// fail prints the one line that says what went wrong. On a terminal its
// details follow on lines of their own.
func (c *console) fail(err error) {
	said := strings.Split(err.Error(), "\n")
	between := "; "
	if c.errTTY {
		between = "\n  "
	}
	for i, s := range said {
		said[i] = printable(strings.TrimSpace(s))
	}
	fmt.Fprintln(c.err, "Error: "+strings.Join(said, between))
}

// warn prints what a person should know and no program needs.
func (c *console) warn(format string, args ...any) {
	fmt.Fprintln(c.err, "Warning: "+printable(fmt.Sprintf(format, args...)))
}

// printable takes the power over the terminal from what others have said.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if commanding(r) || r == unicode.ReplacementChar {
			return '·'
		}
		return r
	}, s)
}

// commanding tells what a terminal obeys instead of showing it, and what changes
// the order in which it shows the rest.
func commanding(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// style is a colour of terminals.
type style string

const (
	normal style = ""
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

func (s style) paint(text string) string {
	if s == normal {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}
