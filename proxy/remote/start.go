package remote

import (
	"errors"
	"strings"
)

// Applet is the name of the program that has the proxies of a server.
const Applet = "zinit-xinet"

// OrdersFD is the descriptor at which it gets its end of the channel.
const OrdersFD = 3

// ParseArgs understands that command line; a later version may add to it.
func ParseArgs(args []string) (socket, level string, err error) {
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "--socket":
			socket = value
		case "--log-level":
			level = value
		}
	}
	if socket == "" {
		err = errors.New("it is started by a server, and not by hand: use xinet")
	}
	return socket, level, err
}

// Args is the command line of Applet, after the name.
func Args(socket, level string) []string {
	return []string{"--socket=" + socket, "--log-level=" + level}
}
