package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// IsForeign tells whether the file at path is to be converted by its name: YAML of
// zinit 0.2, or a service unit of systemd.
func IsForeign(path string) bool { return isYAML(path) || isUnit(path) }

// Brief returns s as a zinit TOML file with nothing in it but what is not the default.
// Reading it gives the same service again; the error says when that is not so, since
// there is no way to write it.
func Brief(s *Service) ([]byte, error) { return Defaults{}.Brief(s) }

// Brief is [Brief] for a file that is to say the same where the defaults hold, and where
// they do not.
func (d Defaults) Brief(s *Service) ([]byte, error) {
	var b []byte
	plain, other := plainService(), d.plain()
	for i := range sections {
		sec := &sections[i]
		if !sec.concerns(s) {
			continue
		}
		for _, table := range sec.written(s, func(header string, s *Service) []byte { return sec.brief(header, s, plain, other) }) {
			b = apart(b, table)
		}
	}
	if back := parse(s.Name+".toml", b, d).service; back == nil || !back.Same(s) {
		return nil, errors.New("cannot be written as TOML: its command begins with a word that is a builtin of the shell there")
	}
	return b, nil
}

// brief is the table with what must be said; nil when that is nothing.
func (sec *section) brief(header string, s, plain, other *Service) []byte {
	var b, env []byte
	for i := range sec.keys {
		k := &sec.keys[i]
		v, given := k.inFile(s)
		switch list, isEnv := v.(environ); {
		case !given || v == nil, k.implied != nil && k.implied(s), !k.required && !k.mustBeSaid(s, plain) && !k.mustBeSaid(s, other):
		case isEnv:
			for _, kv := range list {
				name, text, _ := bytes.Cut([]byte(kv), []byte("="))
				env = append(env, tomlKey(string(name))+" = "+tomlText(string(text))+"\n"...)
			}
			env = append([]byte("\n["+sec.name+"."+k.name+"]\n"), env...)
		default:
			b = append(b, k.name+" = "+tomlValue(v)+"\n"...)
		}
	}
	if b == nil && env == nil {
		return nil
	}
	return append(append([]byte(header), b...), env...)
}

// WriteNew writes the text of a service as the file NAME.toml of the directory dir. A
// file that is there is not overwritten, and neither is the name of another file's
// service taken. It is on the disk when WriteNew returns, and nothing is left when it
// fails. As with [Save] the error is the reason alone.
func WriteNew(dir, name string, text []byte) (path string, err error) {
	path = filepath.Join(dir, name+".toml")
	if err := CheckName(name); err != nil {
		return path, fmt.Errorf("the name %w", err)
	}
	err = createNew(path, text)
	switch {
	case errors.Is(err, fs.ErrExist):
		err = errors.New("it is there already: remove it, or write elsewhere with --to")
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("there is no directory %s: make it first", dir)
	}
	return path, err
}

// Supersede writes the text of a service as the file NAME.toml beside the file old, and
// calls that one kept from then on, which nobody loads: its name with ~ behind it. When
// it fails old is as it was, and there is no new one. As with [Save] the error is the
// reason alone.
func Supersede(old, name string, text []byte) (path, kept string, err error) {
	path = filepath.Join(filepath.Dir(old), name+".toml")
	if filepath.Clean(old) == path {
		kept, err = supersedeSame(path, text)
		return path, kept, err
	}
	path, err = WriteNew(filepath.Dir(old), name, text)
	if err != nil {
		return path, "", err
	}
	for i := range maxKept {
		if kept = old + "~"; i > 0 {
			kept = fmt.Sprintf("%s~%d~", old, i)
		}
		if _, err = os.Lstat(kept); err == nil {
			err = fs.ErrExist
			continue
		}
		err = reason(os.Rename(old, kept))
		break
	}
	if err != nil {
		_ = os.Remove(path) // two files of one name would be worse
		return path, "", fmt.Errorf("cannot rename %s: %w", old, err)
	}
	return path, kept, syncDir(filepath.Dir(old))
}

// supersedeSame replaces the text of a file whose name stays, in one step.
func supersedeSame(path string, text []byte) (kept string, err error) {
	f, err := createBeside(filepath.Dir(path), nil)
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // it has another name by then, or must not stay
	if err := fill(f, text); err != nil {
		return "", err
	}
	for i := range maxKept {
		if kept = path + "~"; i > 0 {
			kept = fmt.Sprintf("%s~%d~", path, i)
		}
		if err = os.Link(path, kept); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return "", reason(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		_ = os.Remove(kept) // it is the file at path still
		return "", reason(err)
	}
	return kept, syncDir(filepath.Dir(path))
}
