package pid1

import (
	"errors"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"zinit/applets/env"
)

// containerTime is how long a container may take to stop unless it is told: engines
// kill it after ten seconds.
const containerTime = 8 * time.Second

// contain completes the flags of what is no machine's: whether it is a container, and
// what follows from that. Below the init of an engine (docker run --init) a container
// is one too.
func contain(e *env.Env, d env.Dialect, r role, f *env.ServerFlags, writable func(dir string) bool) error {
	told := f.Container || d != env.DialectServer && e.Getenv(containerVar) != ""
	f.Container = r == container || told
	if !f.Container {
		if f.Command != nil {
			return errors.New("a command after -- is what a container is for: add --container before it")
		}
		return nil
	}
	if f.StopTimeout == 0 {
		f.StopTimeout = containerTime
	}
	// The configuration of a container is the image's, whoever runs it.
	if own := e.ConfigDir(""); f.ConfigDir == own && e.Getenv("ZINIT_CONFIG_DIR") == "" {
		f.ConfigDir = env.DefaultConfig
	}
	// So is its socket, where the user may make it there: others find it without a word.
	if own := e.SocketPath(""); f.Socket == own && e.Getenv("ZINIT_SOCKET") == "" && writable(filepath.Dir(env.DefaultSocket)) {
		f.Socket = env.DefaultSocket
	}
	return nil
}

// mayWrite reports that this process may make files in a directory.
func mayWrite(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }

// within is the patience of a shutdown that is bounded as a whole: the sweep, which
// needs no time of others, comes on top. Zero bounds nothing.
func (p patience) within(whole time.Duration) patience {
	if whole != 0 {
		p.whole, p.sweep = whole, time.Second
	}
	return p
}
