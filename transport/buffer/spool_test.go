package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

func newSpool(limits Limits) *Spool { return &Spool{limits: limits} }

func TestSpoolKeepsEverySize(t *testing.T) {
	for _, size := range sizes {
		want := body(size)
		for _, memory := range []int64{0, 1, smallChunk, 100_000, 1 << 20, 1 << 30} {
			if size > 2<<20 && memory != 1<<20 {
				continue // it takes long
			}
			t.Run(fmt.Sprintf("%d bytes, %d in memory", size, memory), func(t *testing.T) {
				l := limits(t)
				l.Memory = memory
				s := newSpool(l)
				defer s.Close()
				n, err := s.ReadFrom(bytes.NewReader(want))
				if n != int64(size) || err != nil || s.Len() != int64(size) {
					t.Fatalf("ReadFrom = %d, %v; Len = %d", n, err, s.Len())
				}
				mustBeEmpty(t, l.Dir)
				if inFile := s.disk.file != nil; inFile != (int64(size) > memory) {
					t.Errorf("is there a file: %v", inFile)
				}
				mustRead(t, s.Reader(), want)
			})
		}
	}
}

// mustRead reads in all ways that there are, again and again.
func mustRead(t *testing.T, r *Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("read %d of %d bytes: %v", n, len(want), err)
	}
	mustEqual(t, "read", got, want)
	r.Rewind()
	sink := bytes.NewBuffer(got[:0])
	if n, err := io.CopyN(sink, struct{ io.Reader }{r}, int64(len(want)/2)); err != nil {
		t.Fatal(n, err)
	}
	if n, err := r.WriteTo(sink); n != int64(len(want)-len(want)/2) || err != nil {
		t.Fatalf("WriteTo = %d, %v", n, err)
	}
	mustEqual(t, "read, then written", sink.Bytes(), want)
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("Read at the end = %d, %v", n, err)
	}
	if n, err := r.WriteTo(sink); n != 0 || err != nil {
		t.Fatalf("WriteTo at the end = %d, %v", n, err)
	}
}

func TestSpoolTakesAnyReader(t *testing.T) {
	want := body(70_000)
	for name, src := range map[string]io.Reader{
		"one byte":      iotest.OneByteReader(bytes.NewReader(want)),
		"half":          iotest.HalfReader(bytes.NewReader(want)),
		"data with EOF": iotest.DataErrReader(bytes.NewReader(want)),
	} {
		l := limits(t)
		l.Memory = 30_000
		s := newSpool(l)
		if _, err := s.ReadFrom(src); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mustRead(t, s.Reader(), want)
		s.Close()
	}
	s := newSpool(limits(t))
	defer s.Close()
	if _, err := s.ReadFrom(idleReader{}); err != io.ErrNoProgress {
		t.Errorf("a reader that gives nothing: %v", err)
	}
	if _, err := s.ReadFrom(iotest.ErrReader(io.ErrClosedPipe)); err != io.ErrClosedPipe {
		t.Errorf("a reader that fails: %v", err)
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

func TestSpoolReadersAreIndependent(t *testing.T) {
	l := limits(t)
	l.Memory = 10
	s := newSpool(l)
	defer s.Close()
	io.WriteString(s, "in memory, and in a file")
	first, second := s.Reader(), s.Reader()
	io.CopyN(io.Discard, first, 15)
	all, _ := io.ReadAll(second)
	rest, _ := io.ReadAll(first)
	if string(all) != "in memory, and in a file" || string(rest) != "in a file" {
		t.Errorf("read %q and %q", all, rest)
	}
}

func TestSpoolRefusesWhatIsTooLarge(t *testing.T) {
	for _, memory := range []int64{0, 5, 1 << 20} {
		l := limits(t)
		l.Memory, l.Size = memory, 10
		s := newSpool(l)
		if n, err := io.WriteString(s, "0123456789"); n != 10 || err != nil {
			t.Errorf("what just fits: %d, %v", n, err)
		}
		if n, err := s.ReadFrom(strings.NewReader("")); n != 0 || err != nil {
			t.Errorf("nothing more: %d, %v", n, err)
		}
		if n, err := s.ReadFrom(strings.NewReader("x")); n != 0 || err != ErrTooLarge {
			t.Errorf("a byte more: %d, %v", n, err)
		}
		s.Close()
		if n, err := io.WriteString(s, "0123456789x"); n != 10 || err != ErrTooLarge {
			t.Errorf("a byte more in one: %d, %v", n, err)
		}
		s.Close()
	}
}

func TestSpoolTellsOfADiskThatIsFull(t *testing.T) {
	for name, fill := range map[string]func(*Spool) error{
		"Write":    func(s *Spool) error { _, err := s.Write(body(100)); return err },
		"ReadFrom": func(s *Spool) error { _, err := s.ReadFrom(bytes.NewReader(body(100))); return err },
	} {
		s := newSpool(Limits{Memory: 50, Dir: "/var/spool", create: fullDisk})
		err := fill(s)
		var disk *DiskError
		if !errors.As(err, &disk) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%s: %v", name, err)
		}
		if text := err.Error(); !strings.Contains(text, "in /var/spool: ") || !strings.Contains(text, "no space left on device; make room there") {
			t.Errorf("%s: %s", name, text)
		}
		if s.Len() != 50 {
			t.Errorf("%s: %d bytes are kept", name, s.Len())
		}
		s.Close()
	}
}

func TestSpoolTellsOfAFolderThatIsMissing(t *testing.T) {
	l := Limits{Dir: t.TempDir() + "/missing"}
	s := newSpool(l)
	defer s.Close()
	if _, err := io.WriteString(s, "x"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), l.Dir) {
		t.Errorf("error is %v", err)
	}
}

func TestSpoolTellsOfAFileThatIsCutShort(t *testing.T) {
	s := newSpool(Limits{Dir: t.TempDir()})
	defer s.Close()
	s.Write(body(100))
	s.disk.file.Truncate(50)
	var disk *DiskError
	if _, err := io.ReadAll(s.Reader()); !errors.As(err, &disk) {
		t.Errorf("Read: %v", err)
	}
	if _, err := s.Reader().WriteTo(io.Discard); !errors.As(err, &disk) {
		t.Errorf("WriteTo: %v", err)
	}
}

func TestReaderTellsWhatAWriterDidNotTake(t *testing.T) {
	for _, memory := range []int64{0, 1 << 20} {
		s := newSpool(Limits{Memory: memory, Dir: t.TempDir()})
		s.Write(body(200_000))
		var sink bytes.Buffer
		r := s.Reader()
		n, err := r.WriteTo(&shortWriter{&sink, 100_001})
		if n != 100_001 || err != io.ErrShortWrite {
			t.Errorf("WriteTo = %d, %v", n, err)
		}
		io.Copy(&sink, r)
		mustEqual(t, "written in two", sink.Bytes(), body(200_000))
		s.Close()
	}
}

// shortWriter takes so many bytes and drops the rest without an error.
type shortWriter struct {
	io.Writer
	left int
}

func (w *shortWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p[:min(len(p), w.left)])
	w.left -= n
	return n, err
}

func TestSpoolGivesItsFilesBack(t *testing.T) {
	l := limits(t)
	l.Memory = 0
	keep := func() *Spool {
		s := newSpool(l)
		s.Write(body(100))
		return s
	}
	keep().Close()
	before := openFiles(t)
	var kept []*Spool
	for range 50 {
		kept = append(kept, keep())
	}
	if got := openFiles(t); got != before+50 {
		t.Errorf("%d files are open for 50 spools", got-before)
	}
	for _, s := range kept {
		s.Close()
	}
	if got := openFiles(t); got != before {
		t.Errorf("%d files are left open", got-before)
	}
}

func TestChunksGrowWithWhatCame(t *testing.T) {
	s := newSpool(limits(t))
	defer s.Close()
	src := io.MultiReader(strings.NewReader("x"), iotest.TimeoutReader(strings.NewReader("y")))
	if err := s.fill(src, 1<<20); err != iotest.ErrTimeout {
		t.Fatal(err)
	}
	if got := len(s.memory.first.data); got > mediumChunk || s.memory.first.next != nil {
		t.Errorf("two bytes of an announced MiB took %d bytes at once", got)
	}
}

// FuzzSpool does in turn what each pair of bytes says, and compares with a
// plain buffer.
func FuzzSpool(f *testing.F) {
	f.Add([]byte{0, 200, 1, 10, 2, 0, 1, 255}, uint16(100))
	f.Add([]byte{3, 255, 0, 1, 1, 255, 4, 0, 1, 9}, uint16(0))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, steps []byte, memory uint16) {
		s := newSpool(Limits{Memory: int64(memory), Dir: dir})
		defer s.Close()
		var all []byte
		r, at := s.Reader(), 0
		for ; len(steps) >= 2; steps = steps[2:] {
			size := int(steps[1]) * 37
			switch steps[0] % 5 {
			case 0:
				part := body(size)
				s.Write(part)
				all = append(all, part...)
			case 1:
				p := make([]byte, size)
				n, err := io.ReadFull(r, p)
				mustEqual(t, "read", p[:n], all[at:min(at+size, len(all))])
				if at += n; n < size && err != io.EOF && err != io.ErrUnexpectedEOF {
					t.Fatal(err)
				}
			case 2:
				r.Rewind()
				at = 0
			case 3:
				part := body(size)
				s.ReadFrom(iotest.HalfReader(bytes.NewReader(part)))
				all = append(all, part...)
			case 4:
				var sink bytes.Buffer
				r.WriteTo(&sink)
				mustEqual(t, "written", sink.Bytes(), all[at:])
				at = len(all)
			}
			if s.Len() != int64(len(all)) {
				t.Fatalf("Len is %d, not %d", s.Len(), len(all))
			}
		}
	})
}
