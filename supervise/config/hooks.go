package config

// Hooks is the exec_* keys: commands that are run around the main process, one
// after the other.
type Hooks struct {
	StartPre, StartPost, Stop, StopPost, Reload []Hook
}

// A Hook is one of these commands.
type Hook struct {
	Line          string // as written, without the - in front
	Command       Command
	IgnoreFailure bool
}
