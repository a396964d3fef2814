package config

import (
	"errors"
	"fmt"
	"io/fs"
)

// Dirs is where the configuration of one server is. A directory whose name is
// empty is none.
type Dirs struct {
	System    string // its services are all of class system
	User      string
	Legacy    string // only its files *.yaml count
	Ephemeral string // for services that a reboot is to forget
	Start     string // the file start.toml whose [defaults] hold for User; "": none
	Cache     *Cache // nil: all files are read
}

// LoadDirs loads the system's directory, then the user's, that of zinit 0.2, and the
// ephemeral one. A file that takes a name which an earlier directory has is not
// loaded, and a warning says so. Only the user's must exist. When one directory
// cannot be read the others are loaded all the same: the Problem has the directory
// as its File, and no Service. An error is returned only when neither the
// system's nor the user's gave anything.
func LoadDirs(d Dirs) (*Set, error) {
	given, wrong := loadDefaults(d.Start)
	d.Cache.begin(given)
	system, systemErr := d.load(d.System, Defaults{}, isServiceFile)
	user, userErr := d.load(d.User, given, isServiceFile)
	none := systemErr != nil || d.System == ""
	if errors.Is(systemErr, fs.ErrNotExist) {
		systemErr = nil
	}
	if userErr != nil && none {
		return nil, errors.Join(systemErr, userErr)
	}
	legacy, legacyErr := d.load(d.Legacy, Defaults{}, isYAML)
	if errors.Is(legacyErr, fs.ErrNotExist) {
		legacyErr = nil
	}
	ephemeral, ephemeralErr := d.load(d.Ephemeral, Defaults{}, isServiceFile)
	if errors.Is(ephemeralErr, fs.ErrNotExist) {
		ephemeralErr = nil
	}
	for _, s := range system.Services {
		if s.Class != ClassSystem { // one from the cache may be in use already
			s.Class = ClassSystem
		}
	}
	if systemErr == nil && userErr == nil && legacyErr == nil && ephemeralErr == nil {
		d.Cache.end()
	}
	set := &Set{Problems: wrong}
	taken := map[string]string{}
	set.take(d.System, system, systemErr, taken, "")
	set.take(d.User, user, userErr, taken, "system service ")
	set.take(d.Legacy, legacy, legacyErr, taken, "")
	set.take(d.Ephemeral, ephemeral, ephemeralErr, taken, "")
	return set, nil
}

// load loads a directory that may be none. The Set is never nil.
func (d Dirs) load(dir string, given Defaults, is func(name string) bool) (*Set, error) {
	if dir == "" {
		return &Set{}, nil
	}
	set, err := loadDir(dir, d.Cache, given, is)
	if err != nil {
		return &Set{}, err
	}
	return set, nil
}

// take adds what a directory gave, without the services whose names are taken.
func (set *Set) take(dir string, part *Set, err error, taken map[string]string, by string) {
	if err != nil {
		set.Problems = append(set.Problems, dirProblem(dir, err))
	}
	set.Problems = append(set.Problems, part.Problems...)
	for _, p := range part.Proxies {
		set.addProxy(p)
	}
	for _, s := range part.Services {
		if other, ok := taken[s.Name]; ok {
			set.Problems = append(set.Problems, Problem{
				File: s.Source, Key: nameKey(s), Service: s.Name, Severity: Warning,
				Message: quoted(s.Name) + " is shadowed by " + by + other + ": this file is not loaded; give it another name",
			})
			continue
		}
		taken[s.Name] = s.Source
		set.Services = append(set.Services, s)
	}
}

// dirProblem is a directory that could not be loaded.
func dirProblem(dir string, err error) Problem {
	p := Problem{File: dir, Severity: Error, Message: fmt.Sprintf("cannot be read: %v: mend that and reload", errors.Unwrap(err))}
	var why untrusted
	if errors.As(err, &why) {
		p.Message = "is not loaded: it " + string(why) + ", and reload"
	}
	return p
}
