package config

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
