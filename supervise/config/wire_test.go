package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"zinit/sock"
	"zinit/supervise/config"
)

// What clients in Go read and send again is the same service: their types have
// all that there is, and lose nothing.
func TestServicesPassThroughTheTypesOfTheClient(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/services/good/*.toml")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, problems := config.Parse(path, text)
		if s == nil {
			t.Fatal(problems)
		}
		if s.Target {
			continue // they cannot be set
		}
		var typed sock.ServiceConfig
		d := json.NewDecoder(bytes.NewReader(config.ToJSON(s)))
		d.DisallowUnknownFields()
		if err := d.Decode(&typed); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		sent, err := json.Marshal(typed)
		if err != nil {
			t.Fatal(err)
		}
		if back, _, err := config.FromJSON(sent); err != nil || !back.Same(s) {
			t.Errorf("%s: %v: got %+v\n%s", path, err, back, sent)
		}
	}
	least := sock.ServiceConfig{Service: sock.Service{Name: "a", Exec: "b"}}
	sent, err := json.Marshal(least)
	if err != nil {
		t.Fatal(err)
	}
	if s, warnings, err := config.FromJSON(sent); err != nil || len(warnings) > 0 || s.Name != "a" {
		t.Errorf("%s: %v %v", sent, warnings, err)
	}
}
