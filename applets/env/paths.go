package env

import (
	"path/filepath"
	"strconv"
	"strings"
)

// ConfigDir is the directory of service files: the flag's value when it is not
// empty, then ZINIT_CONFIG_DIR, then /etc/zinit/services for root and
// $XDG_CONFIG_HOME/zinit/services for everybody else.
func (e *Env) ConfigDir(flag string) string {
	switch {
	case flag != "":
		return flag
	case e.Getenv("ZINIT_CONFIG_DIR") != "":
		return e.Getenv("ZINIT_CONFIG_DIR")
	case e.UID == 0:
		return DefaultConfig
	case e.Getenv("XDG_CONFIG_HOME") != "":
		return filepath.Join(e.Getenv("XDG_CONFIG_HOME"), "zinit", "services")
	case e.Getenv("HOME") != "":
		return filepath.Join(e.Getenv("HOME"), ".config", "zinit", "services")
	}
	return filepath.Join(e.userTmp(), "services")
}

// SocketPath is where a server listens: the flag's value when it is not empty,
// then ZINIT_SOCKET, then /run/zinit.sock for root and
// $XDG_RUNTIME_DIR/zinit.sock, or else /tmp/zinit-UID/zinit.sock, for everybody
// else.
func (e *Env) SocketPath(flag string) string {
	switch {
	case flag != "":
		return flag
	case e.Getenv("ZINIT_SOCKET") != "":
		return e.Getenv("ZINIT_SOCKET")
	case e.UID == 0:
		return DefaultSocket
	}
	return e.userSocket()
}

// SocketCandidates lists where a client looks for a server, in order. A path
// that was named (flag or ZINIT_SOCKET) is the only candidate.
func (e *Env) SocketCandidates(flag string) []string {
	if flag != "" {
		return []string{flag}
	}
	if p := e.Getenv("ZINIT_SOCKET"); p != "" {
		return []string{p}
	}
	var list []string
	if e.UID != 0 {
		list = append(list, e.userSocket())
	}
	list = append(list, DefaultSocket)
	if home := e.Getenv("HOME"); home != "" {
		list = append(list, filepath.Join(home, "hero", "var", "zinit.sock"))
	}
	return list
}

// StartFile is the global file of sideros-start: ZINIT_START_FILE, or
// /etc/sideros/start.toml.
func (e *Env) StartFile() string {
	if path := e.Getenv("ZINIT_START_FILE"); path != "" {
		return path
	}
	return SiderosFile
}

// SocketIn is the socket of a server whose runtime directory sideros-start was told.
func SocketIn(runtime string) string { return filepath.Join(runtime, "zinit.sock") }

// LogLevel is the flag's value when it is not empty, then ZINIT_LOG_LEVEL, then
// RUST_LOG (an alias kept for users of the original), then the other one.
func (e *Env) LogLevel(flag, other string) string {
	for _, v := range []string{flag, e.Getenv("ZINIT_LOG_LEVEL"), e.Getenv("RUST_LOG")} {
		if v != "" {
			return v
		}
	}
	return other
}

// RuntimeDir is where the server of a socket keeps what must outlive it:
// /run/zinit.sock gives /run/zinit. It is derived from the socket, so that two
// servers never share one.
func RuntimeDir(socket string) string {
	if s, ok := strings.CutSuffix(socket, ".sock"); ok && filepath.Base(s) != "" && filepath.Base(s) != "." {
		return s
	}
	return socket + ".d"
}

func (e *Env) userSocket() string {
	if dir := e.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "zinit.sock")
	}
	return filepath.Join(e.userTmp(), "zinit.sock")
}

func (e *Env) userTmp() string {
	return "/tmp/zinit-" + strconv.Itoa(e.UID)
}
