module zinit

go 1.26.0

require (
	github.com/naoina/toml v0.1.1
	go.yaml.in/yaml/v3 v3.0.6
	golang.org/x/sys v0.49.0
)

require (
	github.com/naoina/go-stringutil v0.1.0 // indirect
)
