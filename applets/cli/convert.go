package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"zinit/supervise/config"
)

// convert writes the files of other supervisors as TOML.
func convert(s *session) int {
	files, err := foreignFiles(s.call.words)
	if err != nil {
		return s.fail(err)
	}
	if len(files) == 0 {
		return s.fail(fmt.Errorf("nothing to convert in %s: name files *.yaml of zinit 0.2, *.service of systemd, or TOML of sideros-start", strings.Join(s.call.words, ", ")))
	}
	first := true
	return s.each(files, func(file string) error {
		svc, text, err := s.converted(file)
		if err != nil {
			return err
		}
		if s.call.has("to") || s.call.has("replace") {
			return s.writeConverted(file, svc, text)
		}
		if len(files) > 1 {
			s.printf("%s# %s\n", map[bool]string{true: "", false: "\n"}[first], escape(file))
		}
		first = false
		s.print(string(text))
		return nil
	})
}

// foreignFiles are the files that are named, and those in the directories that are.
func foreignFiles(places []string) ([]string, error) {
	var files []string
	for _, place := range places {
		info, err := os.Stat(place)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s does not exist: name a file, or a directory of files", place)
		case err != nil:
			return nil, fmt.Errorf("cannot look at %s: %s", place, bareReason(err))
		case !info.IsDir():
			files = append(files, place)
			continue
		}
		entries, err := os.ReadDir(place)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %s", place, bareReason(err))
		}
		for _, e := range entries {
			if config.IsForeign(e.Name()) && !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				files = append(files, filepath.Join(place, e.Name()))
			}
		}
	}
	return files, nil
}

// converted is a file as TOML. What of it is lost is told.
func (s *session) converted(file string) (*config.Service, []byte, error) {
	// Where sideros-start has defaults the file relies on them, and is read with or
	// without them later.
	start, _ := config.LoadStart(s.env.StartFile())
	given := start.Defaults
	svc, problems := given.LoadFile(file)
	wrong := s.wrongOf(problems)
	if svc == nil {
		return nil, nil, fmt.Errorf("cannot convert %s%s", file, wrong)
	}
	text, err := given.Brief(svc)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot convert %s: %w", file, err)
	}
	return svc, text, nil
}

func (s *session) writeConverted(file string, svc *config.Service, text []byte) error {
	var path, kept string
	var err error
	if s.call.has("replace") {
		path, kept, err = config.Supersede(file, svc.Name, text)
	} else {
		path, err = config.WriteNew(s.call.value("to", ""), svc.Name, text)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	s.printf("Converted: %s -> %s\n", escape(file), escape(path))
	if kept != "" {
		s.printf("  %s is %s now\n", escape(filepath.Base(file)), escape(filepath.Base(kept)))
	}
	return nil
}

// convertVerb is the row of convert.
func convertVerb() verb {
	return verb{
		name: "convert", args: "FILE|DIR...", min: 1, max: -1,
		flags: []flag{
			{"to", "", "DIR", "write DIR/NAME.toml for each"},
			{"replace", "", "", "write NAME.toml beside each, which gets a ~ behind\nits name and is not read any more"},
		},
		apart:   "to replace",
		summary: "write files of zinit 0.2 and systemd as TOML",
		help: `FILE is YAML of zinit 0.2 (NAME.yaml), a service unit of systemd
(NAME.service), or TOML of sideros-start; of a DIR all of the first two. The
TOML goes to stdout, without what is the default. What has no equal is dropped,
and a warning says so. No file that is there is overwritten. Needs no server.
`,
		example: "zinit convert /etc/zinit/redis.yaml\nzinit convert --replace /etc/zinit\nzinit convert --to /etc/zinit/services /lib/systemd/system/ssh.service",
		run:     convert,
	}
}
