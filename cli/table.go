package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// cell is a text and how it looks on a terminal.
type cell struct {
	text  string
	style style
}

func text(s string) cell { return cell{s, normal} }

// column is a title and what stands below it for a row.
type column[R any] struct {
	title string
	cell  func(R) cell
}

// writeTable writes the titles and the rows, two blanks between columns.
func writeTable[R any](w io.Writer, columns []column[R], rows []R, colours bool) error {
	lines := make([][]cell, 1, len(rows)+1)
	for _, c := range columns {
		lines[0] = append(lines[0], cell{c.title, bold})
	}
	for _, row := range rows {
		var line []cell
		for _, c := range columns {
			made := c.cell(row)
			line = append(line, cell{printable(made.text), made.style})
		}
		lines = append(lines, line)
	}

	widths := widthsOf(lines)
	var b strings.Builder
	for _, line := range lines {
		writeLine(&b, line, widths, colours)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func widthsOf(lines [][]cell) []int {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	return widths
}

func writeLine(b *strings.Builder, line []cell, widths []int, colours bool) {
	for i, c := range line {
		painted := c.text
		if colours {
			painted = c.style.paint(c.text)
		}
		b.WriteString(painted)
		if i < len(line)-1 {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
		}
	}
	b.WriteByte('\n')
}
