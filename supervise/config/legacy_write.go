package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"zinit/supervise/config/yaml"
)

// WriteLegacy writes the file NAME.yaml of zinit 0.2, with the keys of a JSON object, in
// the directory dir. A file that is there is not overwritten: the error is fs.ErrExist
// then. What is no good service is an [*InvalidError].
func WriteLegacy(dir, name string, content []byte) (path string, err error) {
	path = filepath.Join(dir, name+yamlSuffix)
	if err := CheckName(name); err != nil {
		return path, &InvalidError{[]string{"the name " + err.Error()}}
	}
	keys := map[string]json.RawMessage{}
	if err := json.Unmarshal(content, &keys); err != nil {
		return path, &InvalidError{[]string{"the content must be an object with the keys of the file"}}
	}
	var names []string
	for key := range keys {
		names = append(names, key)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, key := range names {
		quoted, _ := json.Marshal(key) // a text always encodes
		if plainKey(key) {
			quoted = []byte(key)
		}
		// JSON is YAML as well.
		b.WriteString(string(quoted) + ": " + string(keys[key]) + "\n")
	}
	text := []byte(b.String())
	if s, problems := Parse(path, text); s == nil {
		var bad []string
		for _, p := range problems {
			bad = append(bad, p.String())
		}
		return path, &InvalidError{bad}
	}
	return path, createNew(path, text)
}

func plainKey(key string) bool {
	return key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// createNew writes a file that is not there yet.
func createNew(path string, text []byte) error {
	f, err := createBeside(filepath.Dir(path), nil)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name by then, or must not stay
	if err := fill(f, text); err != nil {
		return err
	}
	if err := reason(os.Link(f.Name(), path)); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fs.ErrExist
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

// LegacyJSON is what is in a file of zinit 0.2, as JSON.
func LegacyJSON(path string) ([]byte, error) {
	if !isYAML(path) {
		return nil, errors.New("it is no file of zinit 0.2")
	}
	text, _, err := readFile(path)
	if err != nil {
		return nil, err
	}
	root, err := yaml.Parse(text)
	if err != nil {
		return nil, err
	}
	return encodeJSON(plainValue(root)), nil
}

// plainValue is a value as JSON has it.
func plainValue(v yaml.Value) any {
	switch v.Kind {
	case yaml.Null:
		return nil
	case yaml.Bool:
		return strings.EqualFold(v.Text, "true")
	case yaml.List:
		list := []any{}
		for _, item := range v.Items {
			list = append(list, plainValue(item))
		}
		return list
	case yaml.Map:
		table := map[string]any{}
		for _, p := range v.Pairs {
			table[p.Key] = plainValue(p.Value)
		}
		return table
	case yaml.Other:
		if n := json.Number(v.Text); json.Valid([]byte(v.Text)) {
			return n
		}
	}
	return v.Text
}
