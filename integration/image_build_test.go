package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// imageBuilder carries out a Dockerfile as far as that goes without an engine:
// a folder stands for each stage's tree, and what the base images bring is
// made up. Owners are set when it runs as root.
type imageBuilder struct {
	context string
	ignored []string
	work    string
	args    map[string]string
	trees   map[string]string // a stage's name or base: its folder
}

// buildImage returns the tree and the config of the image for an architecture.
func buildImage(t *testing.T, version, arch string) (tree string, c config) {
	t.Helper()
	stages := readDockerfile(t)
	b := &imageBuilder{context: "..", work: shortTempDir(t), trees: map[string]string{}}
	b.args = map[string]string{"VERSION": version, "TARGETOS": "linux", "TARGETARCH": arch}
	if err := os.Chmod(b.work, 0o755); err != nil { // the image's user passes through it
		t.Fatal(err)
	}
	ignored, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	b.ignored = strings.Fields(string(ignored))
	for n, s := range stages {
		if tree, err = b.build(n, s); err != nil {
			t.Fatalf("Dockerfile: %v", err)
		}
	}
	if c, err = configOf(stages, b.args); err != nil {
		t.Fatalf("Dockerfile: %v", err)
	}
	return tree, c
}

func (b *imageBuilder) build(n int, s stage) (tree string, err error) {
	tree, known := b.trees[s.base]
	if !known {
		tree = filepath.Join(b.work, strconv.Itoa(n))
		if err := makeBase(tree, s.base); err != nil {
			return "", err
		}
	}
	b.trees[s.name] = tree
	declared := map[string]string{} // a stage knows those variables alone that it declares
	directory := tree
	for _, i := range s.instructions {
		switch i.name {
		case "ARG":
			for _, word := range i.words() {
				name, otherwise, _ := strings.Cut(word, "=")
				declared[name] = otherwise
				if given, ok := b.args[name]; ok {
					declared[name] = given
				}
			}
		case "WORKDIR":
			directory = filepath.Join(tree, i.rest)
			err = os.MkdirAll(directory, 0o755)
		case "COPY":
			err = b.copy(i, tree, directory)
		case "RUN":
			err = run(i, tree, directory, declared)
		}
		if err != nil {
			return "", fmt.Errorf("line %d: %s %s: %w", i.line, i.name, i.rest, err)
		}
	}
	return tree, nil
}

// makeBase makes what the tests need of a base image.
func makeBase(tree, base string) error {
	files := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
		"etc/group":  "root:x:0:root\nnobody:x:65534:\n",
	}
	if strings.HasPrefix(base, "golang:") {
		files["etc/ssl/certs/ca-certificates.crt"] = certificates
	}
	for _, folder := range []string{"etc/ssl/certs", "home", "tmp", "usr/local/bin"} {
		if err := os.MkdirAll(filepath.Join(tree, folder), 0o755); err != nil {
			return err
		}
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(tree, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(tree, "tmp"), 0o777|fs.ModeSticky)
}

const certificates = "what stands for the certificates\n"

// harmless is a command that may be run on this machine.
var harmless = regexp.MustCompile(`^([A-Z_]+=\S* )*(go build|echo|mkdir) `)

// run runs a command of the build stage. It stays outside the tree, for the
// compiler is there, so the stage's own folders are put in place of /image.
func run(i instruction, tree, directory string, args map[string]string) error {
	if i.rest == "go mod download" {
		return nil // the modules are this machine's
	}
	for command := range strings.SplitSeq(i.rest, "&&") {
		if !harmless.MatchString(strings.Join(strings.Fields(command), " ")) {
			return errors.New("the tests run no such command outside a container")
		}
	}
	cmd := exec.Command("sh", "-c", "umask 022; "+strings.ReplaceAll(i.rest, "/image/", tree+"/image/"))
	cmd.Dir = directory
	cmd.Env = os.Environ()
	for name, value := range args {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// copy carries COPY out by the rules of BuildKit: a folder's content is
// copied, with the modes of what is in it; the owner is root or --chown's.
func (b *imageBuilder) copy(i instruction, tree, directory string) error {
	root, isContext := b.trees[i.flags["from"]], i.flags["from"] == ""
	if isContext {
		root = b.context
	} else if root == "" {
		return fmt.Errorf("no stage is called %s", i.flags["from"])
	}
	uid, gid := 0, 0
	if owner := i.flags["chown"]; owner != "" {
		if _, err := fmt.Sscanf(owner, "%d:%d", &uid, &gid); err != nil {
			return fmt.Errorf("--chown=%s: %w", owner, err)
		}
	}
	words := i.words()
	sources, to := words[:len(words)-1], words[len(words)-1]
	target := filepath.Join(directory, to)
	if filepath.IsAbs(to) {
		target = filepath.Join(tree, to)
	}
	for _, source := range sources {
		found, err := filepath.Glob(filepath.Join(root, source))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("%s is not there (%v)", source, err)
		}
		for _, path := range found {
			c := copying{b: b, isContext: isContext, uid: uid, gid: gid}
			into := target
			if info, err := os.Stat(path); err == nil && !info.IsDir() && (strings.HasSuffix(to, "/") || strings.HasSuffix(to, ".")) {
				into = filepath.Join(target, filepath.Base(path))
			}
			if err := c.tree(path, into); err != nil {
				return err
			}
		}
	}
	return nil
}

// copying is one COPY under way.
type copying struct {
	b         *imageBuilder
	isContext bool
	uid, gid  int
}

func (c copying) tree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if c.isContext && c.b.ignores(path) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		inside, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return c.one(path, filepath.Join(to, inside), path == from)
	})
}

func (c copying) one(from, to string, top bool) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	_, err = os.Stat(to)
	existed := err == nil
	if info.IsDir() {
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if top && existed {
			return nil // a folder that is copied into keeps what it has
		}
	} else {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			return err
		}
	}
	if !top || !info.IsDir() {
		if err := os.Chmod(to, info.Mode()); err != nil {
			return err
		}
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(to, c.uid, c.gid)
}

// ignores says whether .dockerignore keeps a path from the engine.
func (b *imageBuilder) ignores(path string) bool {
	inside, err := filepath.Rel(b.context, path)
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(inside, string(filepath.Separator))
	for _, pattern := range b.ignored {
		anywhere, deep := strings.CutPrefix(pattern, "**/")
		name := first
		if deep {
			pattern, name = anywhere, filepath.Base(inside)
		}
		if matched, _ := filepath.Match(pattern, name); matched && inside != "." {
			return true
		}
	}
	return false
}
