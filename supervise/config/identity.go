package config

import (
	"slices"
	"strconv"
	"strings"
)

// Identity is the `user`, `group` and `supplementary_groups` keys, as written:
// names, or numbers in decimal. What is empty is not given. Whether they exist is
// looked up at each start.
type Identity struct {
	User, Group string
	Groups      []string
}

// An EnvFile is one of `env_file`: variables to be added at the start.
type EnvFile struct {
	Path     string // absolute
	Optional bool   // it may be missing
}

// StdinTTY is the [Service.Stdin] that stands for [Service.TTY].
const StdinTTY = "tty"

// Setup is what is set in the new process before the program is executed.
type Setup struct {
	Umask       *uint32 // nil: the server's own, as for the next two
	Nice        *int    // -20 to 19
	OOMScoreAdj *int    // -1000 to 1000
	// Capabilities are those that it keeps, by their numbers on Linux, sorted; nil:
	// all; empty: none.
	Capabilities *[]int
	NoNewPrivs   bool
	Rlimits      []Rlimit // by Resource; each of them once
}

// account takes the name of a user or group, or its number.
func (v value) account() (string, bool) {
	if n, ok := v.entry.value.(int64); ok {
		v.entry.value = strconv.FormatInt(n, 10)
	}
	name, ok := v.entry.value.(string)
	if !ok {
		v.fail("must be a name in quotes or a number, not %s: write one such as \"daemon\"", describe(v.entry.value))
		return "", false
	}
	if why := accountFault(name); why != "" {
		v.fail("%s %s", quoted(name), why)
		return "", false
	}
	return name, true
}

// maxAccountName is the longest name of a user or group that Linux allows.
const maxAccountName = 256

// accountFault tells why name cannot be that of a user or group; "" when it can.
func accountFault(name string) string {
	odd := func(r rune) bool { return r <= ' ' || r == ':' || r == '/' || r == ',' || unprintable(r) }
	switch {
	case name == "":
		return "is no name: write one, or remove the key"
	case len(name) > maxAccountName:
		return "is too long: write a name of at most 256 bytes"
	case strings.Trim(name, "0123456789") == "":
		// The highest number means "no change" to the kernel.
		if n, err := strconv.ParseUint(name, 10, 64); err != nil || n >= 1<<32-1 {
			return "is too large: numbers go from 0 to 4294967294"
		}
	case name[0] == '-' || strings.ContainsFunc(name, odd):
		return "cannot be the name of a user or group: names have no blanks, colons, commas or slashes, and do not begin with a dash"
	}
	return ""
}

// setGroups takes service.supplementary_groups.
func setGroups(s *Service, v value) {
	for _, e := range v.list() {
		if name, ok := e.account(); ok && !slices.Contains(s.Identity.Groups, name) {
			s.Identity.Groups = append(s.Identity.Groups, name)
		}
	}
}

// lines takes a text, or a list of texts, none of them empty.
func (v value) lines() []value {
	if text, ok := v.entry.value.(string); ok {
		if strings.TrimSpace(text) != "" {
			return []value{v}
		}
		v.fail("%s cannot be empty: remove it", v.key)
		return nil
	}
	if _, ok := v.entry.value.([]tomlEntry); !ok {
		v.fail("must be a text in quotes or a list of them, not %s: write %s = %s", describe(v.entry.value), v.short(), inQuotes(plain(v.entry.value)))
		return nil
	}
	return v.texts()
}

// marked cuts the - in front of a line that may fail.
func marked(line string) (rest string, mayFail bool) {
	line = strings.TrimSpace(line)
	if rest, mayFail = strings.CutPrefix(line, "-"); mayFail {
		rest = strings.TrimSpace(rest)
	}
	return rest, mayFail
}

// withMark is what marked cuts.
func withMark(rest string, mayFail bool) string {
	if mayFail {
		return "-" + rest
	}
	return rest
}

// path takes an absolute path.
func (v value) path() (string, bool) {
	text, ok := v.text()
	if ok && !strings.HasPrefix(text, "/") {
		v.fail("%s is not an absolute path: begin it with /", quoted(text))
		return "", false
	}
	return text, ok
}

// setEnvFiles takes service.env_file.
func setEnvFiles(s *Service, v value) {
	for _, e := range v.lines() {
		path, optional := marked(e.entry.value.(string))
		e.entry.value = path
		if path, ok := e.path(); ok {
			s.EnvFiles = append(s.EnvFiles, EnvFile{path, optional})
		}
	}
}

func getEnvFiles(s *Service) any {
	var lines []string
	for _, f := range s.EnvFiles {
		lines = append(lines, withMark(f.Path, f.Optional))
	}
	return lines
}

// stdinNull is how files write the empty [Service.Stdin].
const stdinNull = "null"

// setStdin takes service.stdin.
func setStdin(s *Service, v value) {
	text, ok := v.text()
	good := ok && (text == stdinNull || text == StdinTTY || strings.HasPrefix(text, "/"))
	v.file.stdinUnknown = !good
	switch {
	case !ok:
	case text == stdinNull:
		s.Stdin = ""
	case good:
		s.Stdin = text
	default:
		v.fail("%s is none of null, tty and an absolute path: write one of these", quoted(text))
	}
}

func getStdin(s *Service) any {
	if s.Stdin == "" {
		return stdinNull
	}
	return s.Stdin
}

// setUmask takes service.umask, in octal.
func setUmask(s *Service, v value) {
	text, ok := v.entry.value.(string)
	if !ok {
		v.fail("must be in quotes, not %s: write umask = \"0022\"", describe(v.entry.value))
		return
	}
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n > 0o777 {
		v.fail("%s is not a umask: write octal digits up to \"0777\", such as \"0022\"", quoted(text))
		return
	}
	mask := uint32(n)
	s.Setup.Umask = &mask
}

func getUmask(s *Service) any {
	if s.Setup.Umask == nil {
		return nil
	}
	return octal(*s.Setup.Umask)
}

// within takes a number that may be negative.
func (v value) within(least, most int64) *int {
	n, ok := v.integer(least, most)
	if !ok {
		return nil
	}
	i := int(n)
	return &i
}

// orNone is the number that p points to, nil for none.
func orNone(p *int) any {
	if p == nil {
		return nil
	}
	return int64(*p)
}
