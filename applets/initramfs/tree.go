package initramfs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A node is one file of an image.
type node struct {
	header
	target string // of a link
	source string // the file that holds what it holds
}

// A Tree is what an image is to hold, by path without a slash in front.
type Tree struct {
	nodes map[string]node
}

// NewTree is the tree of a system that has nothing yet but what the first process
// needs: device nodes, and directories to mount on.
func NewTree() *Tree {
	t := &Tree{nodes: map[string]node{}}
	for _, dir := range []string{"proc", "sys", "dev", "run", "root", "etc/zinit/services", "var/lib/zinit"} {
		t.dir(dir, 0o755)
	}
	t.dir("tmp", 0o1777)
	t.nodes["dev/console"] = node{header: header{mode: modeChar | 0o600, major: 5, minor: 1}}
	t.nodes["dev/null"] = node{header: header{mode: modeChar | 0o666, major: 1, minor: 3}}
	return t
}

// dir makes a directory and those above it.
func (t *Tree) dir(name string, perm uint32) {
	t.parents(name)
	t.nodes[name] = node{header: header{mode: modeDir | perm}}
}

func (t *Tree) parents(name string) {
	for up := path.Dir(name); up != "."; up = path.Dir(up) {
		if _, there := t.nodes[up]; !there {
			t.nodes[up] = node{header: header{mode: modeDir | 0o755}}
		}
	}
}

// maxLinks is as many as the kernel follows on the way to a file.
const maxLinks = 40

// place is where a path leads to in the image: what is on the way may be a link that was
// added, as /bin is to /usr/bin on many systems. The kernel would not follow one to a
// directory that is unpacked later.
func (t *Tree) place(name string) string {
	name = inside(name)
	for range maxLinks {
		up := path.Dir(name)
		for up != "." && t.nodes[up].target == "" {
			up = path.Dir(up)
		}
		if up == "." {
			break
		}
		to := t.nodes[up].target
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(up), to)
		}
		name = inside(path.Join(to, strings.TrimPrefix(name, up)))
	}
	return name
}

// Link makes a symbolic link, unless there is something of that name.
func (t *Tree) Link(name, target string) {
	name = t.place(name)
	if _, there := t.nodes[name]; there {
		return
	}
	t.parents(name)
	t.nodes[name] = node{header: header{mode: modeLink | 0o777, size: int64(len(target))}, target: target}
}

// Add puts a file, a link, or a directory with all that is below it at a path of the
// image. What is there already is replaced.
func (t *Tree) Add(source, at string) error {
	at = inside(at)
	return filepath.WalkDir(source, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("cannot add %s: %w", p, err)
		}
		rel, err := filepath.Rel(source, p)
		if err != nil {
			return fmt.Errorf("cannot add %s: %w", p, err)
		}
		return t.one(p, t.place(path.Join(at, filepath.ToSlash(rel))))
	})
}

func (t *Tree) one(source, name string) error {
	st, err := os.Lstat(source)
	if err != nil {
		return fmt.Errorf("cannot add %s: %w", source, err)
	}
	perm := uint32(st.Mode().Perm())
	for bit, kernel := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if st.Mode()&bit != 0 {
			perm |= kernel
		}
	}
	switch {
	case name == "":
		return nil // the root itself
	case st.IsDir():
		t.dir(name, perm)
	case st.Mode().IsRegular():
		t.parents(name)
		t.nodes[name] = node{header: header{mode: modeFile | perm, size: st.Size()}, source: source}
	case st.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(source)
		if err != nil {
			return fmt.Errorf("cannot add %s: %w", source, err)
		}
		delete(t.nodes, name)
		t.Link(name, target)
	default:
		return fmt.Errorf("cannot add %s: it is neither file, directory nor link: leave it out", source)
	}
	return nil
}

// inside is a path of the image: clean, and not above its root.
func inside(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// Write writes the image, compressed.
func (t *Tree) Write(to io.Writer) error {
	packed, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := newWriter(packed)
	// Sorted, so that directories come before what is in them.
	for _, name := range slices.Sorted(maps.Keys(t.nodes)) {
		if err := t.write(w, name); err != nil {
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
	}
	if err := w.finish(); err != nil {
		return err
	}
	return packed.Close()
}

func (t *Tree) write(w *writer, name string) error {
	n := t.nodes[name]
	w.entry(name, n.header)
	switch {
	case n.target != "":
		w.body(strings.NewReader(n.target), n.size)
	case n.source != "":
		f, err := os.Open(n.source)
		if err != nil {
			return err
		}
		defer f.Close()
		w.body(f, n.size)
	default:
		w.body(bytes.NewReader(nil), 0)
	}
	return w.err
}
