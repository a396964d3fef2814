package launch

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"zinit/supervise/config"
)

// maxEnvFile bounds a file of variables: the kernel takes no more than that of all of
// them anyway.
const maxEnvFile = 4 << 20

// readEnvFiles reads them in order.
func readEnvFiles(files []config.EnvFile) (list []string, err error) {
	for _, f := range files {
		text, err := readBounded(f.Path, maxEnvFile)
		switch {
		case errors.Is(err, os.ErrNotExist) && f.Optional:
			continue
		case errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("env_file %s does not exist: write it, or put a - in front of the path", f.Path)
		case err != nil:
			return nil, fmt.Errorf("cannot read env_file %s: %w", f.Path, reason(err))
		}
		if list, err = appendVariables(list, text); err != nil {
			return nil, fmt.Errorf("env_file %s, %w", f.Path, err)
		}
	}
	return list, nil
}

// appendVariables reads lines of the form KEY=VALUE. Blank lines and those that begin
// with # or ; are passed over, and so is the word export. A value may stand in quotes,
// in which blanks at its ends count; between double ones \ makes the next of " \ $ ` an
// ordinary character. Nothing is substituted.
func appendVariables(list []string, text string) ([]string, error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "export "); ok {
			line = strings.TrimSpace(rest)
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if !ok || !isName(name) {
			return nil, fmt.Errorf("line %d: it is not KEY=VALUE: correct it, or begin it with #", n)
		}
		value, ok = unquote(strings.TrimSpace(value))
		if !ok {
			return nil, fmt.Errorf("line %d: the quotes of %s do not match: end the value with the quote that it begins with", n, name)
		}
		if strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("line %d: the value of %s has a NUL byte: remove it", n, name)
		}
		list = append(list, name+"="+value)
	}
	return list, nil
}

// isName reports whether a variable can be called that.
func isName(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// unquote takes a value out of its quotes, if it is in any.
func unquote(value string) (string, bool) {
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return value, true
	}
	quote, rest := value[0], value[1:]
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == quote:
			return b.String(), i == len(rest)-1
		case c == '\\' && quote == '"' && i+1 < len(rest) && strings.IndexByte("\"\\$`", rest[i+1]) >= 0:
			i++
			b.WriteByte(rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
