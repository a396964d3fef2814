package initramfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"zinit/applets/env"
)

const usage = `usage: zinit-initramfs -o FILE [--services DIR] [--system DIR] [--add PATH[:AT]...]

Writes an image that a kernel boots (initrd=FILE): this binary as /bin/zinit and
/init, with links for its applets, /dev/console and /dev/null.

  -o, --output FILE     where to; put there in one step when it is complete
      --services DIR    what is in DIR goes to /etc/zinit/services
      --system DIR      the same for /etc/zinit/system
      --add PATH[:AT]   a file, link or directory, with all below it; AT is where it
                        goes (default: the same path). As many as you like
      --binary FILE     another binary of zinit, for another processor

A program has to be static, or its loader and libraries have to be added too.

Example:  zinit-initramfs -o initrd.gz --services ./services --add ./myprog:/bin/myprog
`

// flags are all there are; each has a value.
var flags = [...]string{"-o", "--output", "--services", "--system", "--add", "--binary"}

// An order is what the command line asks for.
type order struct {
	output, services, system, binary string
	adds                             []string
}

// Main is the applet; links are the names that the binary is called by.
func Main(e *env.Env, links []string) int {
	for _, a := range e.Args[1:] {
		if a == "-h" || a == "--help" {
			if _, err := io.WriteString(e.Stdout, usage); err != nil {
				return env.ExitFailed
			}
			return env.ExitDone
		}
	}
	o, err := parse(e.Args[1:])
	if err != nil {
		fmt.Fprintf(e.Stderr, "zinit-initramfs: %v\n\n%s", err, usage)
		return env.ExitUsage
	}
	if err := o.carryOut(links); err != nil {
		fmt.Fprintf(e.Stderr, "zinit-initramfs: %v\n", err)
		return env.ExitFailed
	}
	return env.ExitDone
}

func parse(args []string) (o order, err error) {
	adds := false // the last flag was --add, which takes more than one
	for i := 0; i < len(args); i++ {
		if adds && !strings.HasPrefix(args[i], "-") {
			o.adds = append(o.adds, args[i])
			continue
		}
		name, value, has := strings.Cut(args[i], "=")
		if !strings.HasPrefix(name, "--") {
			name, has = args[i], false
		}
		if !slices.Contains(flags[:], name) {
			return o, fmt.Errorf("unexpected argument %q", name)
		}
		if !has {
			if i++; i == len(args) {
				return o, fmt.Errorf("%s needs a value", name)
			}
			value = args[i]
		}
		adds = name == "--add"
		switch name {
		case "-o", "--output":
			o.output = value
		case "--services":
			o.services = value
		case "--system":
			o.system = value
		case "--binary":
			o.binary = value
		default:
			o.adds = append(o.adds, value)
		}
	}
	if o.output == "" {
		return o, errors.New("no file was named: use -o FILE")
	}
	return o, nil
}

// tree puts together what the image is to hold.
func (o order) tree(links []string) (*Tree, error) {
	binary := o.binary
	if binary == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("cannot find this binary: %w: name it with --binary", err)
		}
		binary = self
	}
	binary, err := filepath.EvalSymlinks(binary)
	if err != nil {
		return nil, fmt.Errorf("cannot find the binary: %w", err)
	}
	t := NewTree()
	for _, add := range []struct{ from, at string }{{o.system, "etc/zinit/system"}, {o.services, "etc/zinit/services"}} {
		if add.from == "" {
			continue
		}
		if err := t.Add(add.from, add.at); err != nil {
			return nil, err
		}
	}
	for _, add := range o.adds {
		from, at, ok := strings.Cut(add, ":")
		if !ok {
			at = from
		}
		if err := t.Add(from, at); err != nil {
			return nil, err
		}
	}
	// Last: nothing that was added takes its place.
	if err := t.Add(binary, "bin/zinit"); err != nil {
		return nil, err
	}
	zinit := t.place("bin/zinit")
	t.own(zinit, 0o755)
	for _, name := range links {
		for _, dir := range []string{"bin", "sbin"} {
			at := t.place(path.Join(dir, name))
			target, err := filepath.Rel(path.Dir(at), zinit)
			if err != nil {
				return nil, fmt.Errorf("cannot link %s: %w", at, err)
			}
			t.Link(at, target) // unless it is there: as zinit itself is
		}
	}
	delete(t.nodes, "init")
	t.Link("init", "bin/zinit")
	return t, nil
}

// own sets the rights of a file, whatever they are where it comes from.
func (t *Tree) own(name string, perm uint32) {
	n := t.nodes[name]
	n.mode = n.mode&^0o7777 | perm
	t.nodes[name] = n
}

// carryOut writes the image beside its place and then puts it there.
func (o order) carryOut(links []string) (err error) {
	t, err := o.tree(links)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(o.output), ".initramfs-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", o.output, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := t.Write(f); err != nil {
		return fmt.Errorf("cannot write %s: %w", o.output, err)
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("cannot write %s: %w", o.output, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("cannot write %s: %w", o.output, err)
	}
	if err := os.Rename(f.Name(), o.output); err != nil {
		return fmt.Errorf("cannot write %s: %w", o.output, err)
	}
	return nil
}
