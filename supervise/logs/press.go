package logs

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// A press compresses the old files of one log file in the background, one after the
// other, and in all of a server one at a time: it takes memory and a processor, and
// is in no hurry. A file is compressed beside itself, brought to its disk, renamed
// into place, and only then deleted: it is lost at no moment, and where it is there
// twice the plain one is known to be the rest.
type press struct {
	disk  disk
	turns chan struct{} // held while one compresses; shared by all

	// names is held while old files get other names: by shift and at the end of a
	// compression.
	names sync.Mutex

	mu   sync.Mutex
	quit chan struct{} // guarded by mu: closed to stop; nil: nothing to stop
	done chan struct{} // guarded by mu: closed when the goroutine has ended
	more bool          // guarded by mu: there is a new old file
	shut bool          // guarded by mu
}

var errStopped = errors.New("stopped")

// run compresses what there is to compress of the log file at path; say is told what
// goes wrong, once for each call.
func (p *press) run(path string, keep int, say func(string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.more = p.quit != nil; p.more || p.shut {
		return
	}
	p.quit, p.done = make(chan struct{}), make(chan struct{})
	go p.work(path, keep, say, p.quit, p.done)
}

// stop ends it soon; the channel is closed when it has ended. What it was at is begun
// again by the next run.
func (p *press) stop() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quit == nil {
		done := make(chan struct{})
		close(done)
		p.shut = true
		return done
	}
	if !p.shut {
		p.shut = true
		close(p.quit)
	}
	return p.done
}

// work is the goroutine of one run.
func (p *press) work(path string, keep int, say func(string), quit, done chan struct{}) {
	defer close(done)
	for again := true; again; {
		for n := 1; n <= keep; n++ {
			if _, err := os.Lstat(oldName(path, n)); err != nil {
				continue
			}
			select {
			case p.turns <- struct{}{}:
			case <-quit:
				return
			}
			err := p.squeeze(path, n, quit)
			<-p.turns
			if err != nil && err != errStopped {
				say(fmt.Sprintf("log file %s: %v: it stays as it is", oldName(path, n), errno(err)))
			}
		}
		p.mu.Lock()
		if again, p.more = p.more && !p.shut, false; !again {
			p.quit = nil
		}
		p.mu.Unlock()
	}
}

// squeeze compresses the file that has the number n now, whatever its number is in
// the end.
func (p *press) squeeze(path string, n int, quit <-chan struct{}) error {
	in, err := os.OpenFile(oldName(path, n), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil // it got another number: the next round finds it
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return err
	}
	part := path + zipped + ".part"
	_ = p.disk.remove(part) // of an earlier server, perhaps; never written over: it may be a link
	out, err := p.disk.open(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, fi.Mode().Perm())
	if err != nil {
		return err
	}
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		_ = out.Chown(int(s.Uid), int(s.Gid)) // who may not do this keeps it as its own
	}
	err = p.pack(out, in, fi, quit)
	if e := out.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = p.replace(path, part, infoOf(fi))
	}
	if err != nil {
		_ = p.disk.remove(part) // the next one does it otherwise
	}
	return err
}

// pack writes what is in a file into another one, compressed, down to the disk.
func (p *press) pack(out, in *os.File, fi os.FileInfo, quit <-chan struct{}) error {
	z := gzip.NewWriter(diskWriter{p.disk, out})
	z.ModTime = fi.ModTime()
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	for {
		select {
		case <-quit:
			return errStopped
		default:
		}
		n, err := in.Read(buf.in[:])
		if _, e := z.Write(buf.in[:n]); e != nil {
			return e
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return out.Sync()
}

// replace puts the compressed file in the place of the plain one. One that is not
// there any more was old enough to be deleted meanwhile.
func (p *press) replace(path, part string, plain fileInfo) error {
	p.names.Lock()
	defer p.names.Unlock()
	for n := 1; ; n++ {
		fi, err := os.Lstat(oldName(path, n))
		if err != nil && !isTaken(path, n) {
			return p.disk.remove(part)
		}
		if err != nil || !infoOf(fi).same(plain) {
			continue
		}
		if err := p.disk.rename(part, oldName(path, n)+zipped); err != nil {
			return err
		}
		return p.disk.remove(oldName(path, n))
	}
}

// diskWriter writes to a file through a disk.
type diskWriter struct {
	disk disk
	f    *os.File
}

func (w diskWriter) Write(b []byte) (int, error) { return w.disk.write(w.f, b) }
