package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"zinit/applets/env"
	"zinit/supervise/config"
)

// check looks at service files as a server would, without one.
func check(s *session) int {
	sets, err := s.checkSets()
	if err != nil {
		return s.fail(err)
	}
	here := thisMachine("/proc/sys/fs/nr_open", "/proc/self/status")
	var all report
	var lines []string
	for _, set := range sets {
		problems := slices.Concat(set.Problems, relations(set), accounts(set.Services, passwdFile, groupFile),
			rlimits(set.Services, here))
		lines = append(lines, all.add(len(set.Services), problems)...)
	}
	if s.call.has("json") {
		s.printJSON(&all)
	} else {
		for _, line := range lines {
			s.printf("%s\n", s.hang(2, escape(line)))
		}
		s.printf("%s in %s: %s, %s\n", checkedWhat(sets),
			s.checkedWhere(), plural(int64(all.Errors), "error"), plural(int64(all.Warnings), "warning"))
	}
	if all.Errors > 0 {
		return env.ExitFailed
	}
	return env.ExitDone
}

// checkedWhat counts what can be loaded.
func checkedWhat(sets []checkSet) string {
	var services, proxies, starts int
	for _, set := range sets {
		services, proxies, starts = services+len(set.Services), proxies+len(set.Proxies), starts+set.starts
	}
	what := []string{plural(int64(services), "service")}
	switch {
	case proxies == 1:
		what = append(what, "1 proxy")
	case proxies > 1:
		what = append(what, fmt.Sprintf("%d proxies", proxies))
	}
	if starts > 0 {
		what = append(what, "the settings of start init")
	}
	if services == 0 && len(what) > 1 {
		what = what[1:]
	}
	return strings.Join(what, ", ")
}

func (s *session) checkedWhere() string {
	if len(s.call.words) == 0 {
		return escape(s.env.ConfigDir(""))
	}
	return escape(strings.Join(s.call.words, ", "))
}

// A checkSet is a set of services, complete when it is a whole directory: then a
// name that it does not have is nowhere.
type checkSet struct {
	*config.Set
	complete bool
	starts   int // files that say how start init starts, and describe no service
}

// checkSets loads what the command line names: each directory is a set of its
// own, the files together are another one.
func (s *session) checkSets() ([]checkSet, error) {
	places := s.call.words
	if len(places) == 0 {
		if s.env.ConfigDir("") == env.DefaultConfig {
			return defaultSet(config.Dirs{System: env.SystemConfig, User: env.DefaultConfig, Legacy: env.LegacyConfig})
		}
		places = []string{s.env.ConfigDir("")}
	}
	var sets []checkSet
	var files []string
	for _, place := range places {
		info, err := os.Stat(place)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s does not exist: name a directory of service files, or a file", place)
		case err != nil:
			return nil, fmt.Errorf("cannot look at %s: %s", place, bareReason(err))
		case !info.IsDir():
			if !slices.Contains(files, place) {
				files = append(files, place)
			}
			continue
		}
		set, err := config.LoadDir(place)
		if err != nil {
			return nil, err
		}
		sets = append(sets, checkSet{Set: set, complete: true})
	}
	if len(files) > 0 {
		sets = append(sets, loadFiles(files, s.env.StartFile()))
	}
	return sets, nil
}

// defaultSet is what root's server loads when it is not told otherwise. What is of the
// system is there on machines alone, and those may need it.
func defaultSet(dirs config.Dirs) ([]checkSet, error) {
	if _, err := os.Stat(dirs.User); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dirs.Legacy); err != nil {
			return nil, fmt.Errorf("%s does not exist: name a directory of service files, or a file", dirs.User)
		}
		dirs.User = "" // only that of zinit 0.2
	}
	set, err := config.LoadDirs(dirs)
	if err != nil {
		return nil, err
	}
	return []checkSet{{Set: set, complete: true}}, nil
}

// loadFiles loads files of services and proxies, and those of start init: startFile is
// one, whatever it holds.
func loadFiles(files []string, startFile string) checkSet {
	set := checkSet{Set: &config.Set{}}
	owner := map[string]string{}
	for _, file := range files {
		if problems, is := config.CheckStart(file, same(file, startFile)); is {
			set.starts++
			set.Problems = append(set.Problems, problems...)
			continue
		}
		svc, proxy, problems := config.LoadEither(file)
		if proxy != nil {
			set.Proxies = append(set.Proxies, proxy)
		}
		set.Problems = append(set.Problems, problems...)
		if svc == nil {
			continue
		}
		if other, taken := owner[svc.Name]; taken {
			set.Problems = append(set.Problems, config.Problem{
				File: file, Service: svc.Name, Severity: config.Error,
				Message: fmt.Sprintf("%q is also the name in %s: give each its own name", svc.Name, other),
			})
			continue
		}
		owner[svc.Name] = file
		set.Services = append(set.Services, svc)
	}
	return set
}

// same tells whether two paths name the same file.
func same(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}

// A report is what check found, and its answer in JSON.
type report struct {
	Services int       `json:"services" doc:"that can be loaded"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Problems []finding `json:"problems" doc:"by file and line"`
}

// A finding is one problem.
type finding struct {
	File     string `json:"file"`
	Line     int    `json:"line" doc:"0: the file as a whole"`
	Key      string `json:"key" doc:"such as lifecycle.restart; empty: no key in particular"`
	Service  string `json:"service"`
	Severity string `json:"severity" doc:"error or warning"`
	Message  string `json:"message" doc:"what is wrong, and what to do"`
}

// add takes in a set, and returns its problems as lines for people.
func (r *report) add(services int, problems []config.Problem) (lines []string) {
	sort.SliceStable(problems, func(i, j int) bool {
		a, b := &problems[i], &problems[j]
		return a.File < b.File || a.File == b.File && a.Line < b.Line
	})
	r.Services += services
	if r.Problems == nil {
		r.Problems = []finding{} // [] in JSON, not null
	}
	for _, p := range problems {
		severity := "error"
		if p.Severity == config.Warning {
			severity = "warning"
			r.Warnings++
		} else {
			r.Errors++
		}
		r.Problems = append(r.Problems, finding{p.File, p.Line, p.Key, p.Service, severity, p.Message})
		lines = append(lines, p.String())
	}
	return lines
}
