package pages

import (
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
)

// Load reads an operator's pages: the html/template files of a folder, named
// by status ("404.html"). They are told {{.Message}} and may use each other
// and any other .html file there by its name. A status without a file has its
// built-in page, and so has one whose template fails when it is used.
//
// A folder that is missing, has no .html file, or one that does not parse is
// an error.
func Load(dir string) (*Pages, error) {
	set, err := parse(dir)
	if err != nil {
		return nil, fmt.Errorf("unable to load error pages from %s: %w", dir, err)
	}
	p := &Pages{templates: map[int]*template.Template{}, ready: map[int][]byte{}}
	for status := 400; status < 600; status++ {
		if set.Lookup(fileName(status)) != nil {
			p.templates[status] = set
		}
		if page, err := p.execute(status, ""); err == nil && page != nil {
			p.ready[status] = page
		} else if page, ok := Builtin().ready[status]; ok {
			p.ready[status] = page
		}
	}
	return p, nil
}

func parse(dir string) (*template.Template, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	set := template.New("")
	found := false
	for _, file := range files {
		if file.IsDir() || !strings.HasSuffix(file.Name(), ".html") {
			continue
		}
		found = true
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			return nil, err
		}
		if _, err := set.New(file.Name()).Parse(string(text)); err != nil {
			return nil, err
		}
	}
	if !found {
		return nil, errors.New("there is no .html file in it (a page is named by its status, as 404.html)")
	}
	return set, nil
}
