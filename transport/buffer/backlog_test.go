package buffer

import (
	"os"
	"testing"
)

// FuzzBacklog puts and takes in turn, and compares with a plain queue.
func FuzzBacklog(f *testing.F) {
	f.Add([]byte{0, 200, 1, 10, 0, 250, 1, 255, 1, 255}, uint16(100), uint16(0), false)
	f.Add([]byte{0, 10, 0, 255, 1, 255, 1, 255, 0, 255}, uint16(0), uint16(2000), true)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, steps []byte, memory, most uint16, full bool) {
		b := &backlog{limits: Limits{Memory: int64(memory), Dir: dir}, most: int64(most)}
		if full {
			b.limits.create = fullDisk
		}
		defer b.close()
		var queue []byte
		for ; len(steps) >= 2; steps = steps[2:] {
			p := body(int(steps[1]) * 37)
			if steps[0]%2 == 0 {
				n := b.put(p)
				if n < len(p) && (len(queue) == 0 || most == 0 && !full) {
					t.Fatalf("put took %d of %d bytes", n, len(p))
				}
				queue = append(queue, p[:n]...)
			} else {
				n, err := b.take(p)
				if err != nil || n != min(len(p), len(queue)) {
					t.Fatalf("took %d of %d bytes, %v", n, len(queue), err)
				}
				mustEqual(t, "taken", p[:n], queue[:n])
				queue = queue[n:]
			}
			if b.len() != int64(len(queue)) {
				t.Fatalf("len is %d, not %d", b.len(), len(queue))
			}
		}
	})
}

func TestFileIsEmptiedOnceItHasBeenRead(t *testing.T) {
	b := &backlog{limits: Limits{Memory: 10, Dir: t.TempDir()}}
	defer b.close()
	p := make([]byte, 1000)
	for range 3 {
		b.put(p[:5])
		b.put(p)
		if n, err := b.take(p); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
		if info, err := b.disk.file.Stat(); err != nil || info.Size() == 0 {
			t.Fatalf("the file is not in use: %v", err)
		}
		if n, err := b.take(p); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		if info, err := b.disk.file.Stat(); err != nil || info.Size() != 0 {
			t.Errorf("the file still has %d bytes, %v", info.Size(), err)
		}
		if b.put(p[:10]); b.memory.size != 10 {
			t.Error("memory is not used again")
		}
		b.take(p)
	}
}

func TestFileIsTriedAgainOnceTheBacklogHasBeenRead(t *testing.T) {
	disk := fullDisk
	b := &backlog{limits: Limits{Dir: t.TempDir(), create: func(dir string) (*os.File, error) { return disk(dir) }}}
	defer b.close()
	p := make([]byte, 100)
	if b.put(p[:1]); b.put(p) != 0 {
		t.Fatal("the disk was not full")
	}
	disk = createTemp
	if b.put(p) != 0 {
		t.Error("a disk that was full is asked for each part")
	}
	b.take(p)
	b.disk.close()
	if b.put(p[:1]); b.put(p) != 100 {
		t.Error("the disk is not used again")
	}
}
