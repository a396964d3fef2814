package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"zinit/applets/env"
	"zinit/supervise/config"
)

func TestTheCommandOfAContainerIsAService(t *testing.T) {
	cases := []struct {
		argv []string
		exec string
	}{
		{[]string{"app"}, "app"},
		{[]string{"/bin/app", "-c", "a b", ""}, `/bin/app -c 'a b' ''`},
		{[]string{"sh", "-c", "echo $HOME | cat; it's"}, `sh -c 'echo $HOME | cat; it'\''s'`},
	}
	for _, c := range cases {
		svc := commandService(c.argv)
		if svc.Exec != c.exec || !reflect.DeepEqual(svc.Command.Argv, c.argv) || svc.Command.Shell {
			t.Errorf("%q became %q, %+v", c.argv, svc.Exec, svc.Command)
		}
		if !svc.Main || svc.Lifecycle.Restart != config.RestartNever {
			t.Errorf("%q is not the main service, or comes again", c.argv)
		}
		split, err := config.SplitCommand(svc.Exec)
		if err != nil || !split.Shell && !reflect.DeepEqual(split.Argv, c.argv) {
			t.Errorf("%q is read as %+v, %v", svc.Exec, split, err)
		}
	}
}

func TestTheConfigurationOfAContainer(t *testing.T) {
	command := []string{"app"}
	cases := []struct {
		name    string
		flags   env.ServerFlags
		files   map[string]string // nil: there is no directory
		names   string
		problem string
	}{
		{"without a directory", env.ServerFlags{Container: true}, nil, "", ""},
		{"a command alone", env.ServerFlags{Container: true, Command: command}, nil, "main", ""},
		{"a command beside services", env.ServerFlags{Container: true, Command: command},
			map[string]string{"web": "[service]\nname = \"web\"\nexec = \"true\"\n"}, "web main", ""},
		{"a file of the same name", env.ServerFlags{Container: true, Command: command},
			map[string]string{"web": "[service]\nname = \"main\"\nexec = \"true\"\n"}, "main", "is the command of the container"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			c.flags.ConfigDir = filepath.Join(home, "services")
			if c.files == nil {
				c.flags.ConfigDir = "/proc/none" // where none can be made
			} else if err := os.Mkdir(c.flags.ConfigDir, 0o755); err != nil {
				t.Fatal(err)
			}
			for name, text := range c.files {
				if err := os.WriteFile(filepath.Join(c.flags.ConfigDir, name+".toml"), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s := newServer(c.flags, &place{lock: -1}, nil, slog.New(slog.DiscardHandler))
			// What a reload reads is the same.
			for _, read := range []func() (*config.Set, error){
				func() (*config.Set, error) { return s.firstConfig(), nil },
				func() (*config.Set, error) { return s.load(false) },
			} {
				set, err := read()
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, svc := range set.Services {
					names = append(names, svc.Name)
					if svc.Name == commandName && svc != s.command {
						t.Error("it is not the command")
					}
				}
				if got := strings.Join(names, " "); got != c.names {
					t.Errorf("the services are %s, want %s", got, c.names)
				}
				if (len(set.Problems) > 0) != (c.problem != "") || c.problem != "" && !strings.Contains(set.Problems[0].String(), c.problem) {
					t.Errorf("the problems are %v", set.Problems)
				}
			}
		})
	}
}
