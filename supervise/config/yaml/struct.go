package yaml

import "go.yaml.in/yaml/v3"

// Marshal writes a Go value as YAML, as the library does.
func Marshal(v any) ([]byte, error) { return yaml.Marshal(v) }

// Unmarshal reads YAML into what a pointer points to, as the library does.
func Unmarshal(text []byte, v any) error { return yaml.Unmarshal(text, v) }
