package launch

import (
	"os"
	"testing"

	"zinit/reap"
	"zinit/supervise/config"
)

// nameOf is empty for no file.
func nameOf(f *os.File) string {
	if f == nil {
		return ""
	}
	return f.Name()
}

func TestAMainServiceHasTheStreamsOfItsContainer(t *testing.T) {
	named := func(name string) *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		fd, err := duplicate(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(fd, name)
		t.Cleanup(func() { f.Close() })
		return f
	}
	lent := &Streams{named("in"), named("out"), named("errs"), true}
	cases := []struct {
		name    string
		service config.Service
		guest   bool
		want    [3]string
	}{
		{"any other service", config.Service{}, false, [3]string{"", "pipe 1", "pipe 2"}},
		{"the main one", config.Service{Main: true}, false, [3]string{"in", "out", "errs"}},
		{"a command beside it", config.Service{Main: true}, true, [3]string{"", "pipe 1", "pipe 2"}},
		{"with a log of its own", config.Service{Main: true, Logging: config.Logging{Chosen: true}}, false, [3]string{"in", "pipe 1", "pipe 2"}},
		{"with a log file", config.Service{Main: true, Logging: config.Logging{File: "/l"}}, false, [3]string{"in", "pipe 1", "pipe 2"}},
		{"that reads elsewhere", config.Service{Main: true, Stdin: "/dev/null"}, false, [3]string{"/dev/null", "out", "errs"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := launcher(t, newDesk())
			l.streams = lent
			c.service.Name, c.service.Command.Argv, c.service.InheritEnv = "a", []string{"/bin/sh"}, true
			o := order(&c.service, 1)
			o.Guest, o.Stdout, o.Stderr = c.guest, named("pipe 1"), named("pipe 2")
			spec, err := l.prepare(&o)
			if err != nil {
				t.Fatal(err)
			}
			got := [3]string{nameOf(spec.Stdin), nameOf(spec.Stdout), nameOf(spec.Stderr)}
			if got != c.want || spec.TTY {
				t.Errorf("it has %q, terminal %v, want %q", got, spec.TTY, c.want)
			}
			if lentItself(&spec, lent) {
				t.Error("what is the container's would be closed")
			}
			closeAll(spec.Stdin, spec.Stdout, spec.Stderr)
		})
	}
}

func lentItself(spec *reap.Spec, s *Streams) bool {
	return spec.Stdin == s.Stdin || spec.Stdout == s.Stdout || spec.Stderr == s.Stderr
}
