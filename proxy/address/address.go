// Package address reads and writes the addresses that services and proxies listen on
// and connect to.
//
//	tcp:127.0.0.1:5432  127.0.0.1:5432  tcp:[::1]:5432  tcp:localhost:5432  tcp::5432
//	unix:/run/pg.sock   /run/pg.sock    unix:/run/pg.sock,mode=0660,user=pg,group=pg
//	unix:@name          (abstract: it has no file)
//	udp:0.0.0.0:514     unixgram:/run/log.sock      fifo:/run/in.fifo
//
// It is pure: it resolves no name and opens nothing. Reading what String wrote gives
// the same address.
package address

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The networks.
const (
	TCP      = "tcp"
	UDP      = "udp"
	Unix     = "unix"     // a stream
	Unixgram = "unixgram" // datagrams
	FIFO     = "fifo"     // a named pipe
)

// maxPath is the longest path of a socket that the kernel takes.
const maxPath = 107

// An Address is one of a network. The zero Address is none.
type Address struct {
	Network string

	// Host and Port are those of TCP and UDP. An empty Host is every one of this
	// machine to listen on, and this machine to connect to.
	Host string
	Port uint16

	// Path is that of the others. One that begins with @ is abstract.
	Path string

	// What a file is made with when it is listened on. Mode 0 and empty names say
	// nothing; User and Group are names or numbers.
	Mode        uint32
	User, Group string
}

// Stream reports that connections are made to it.
func (a Address) Stream() bool { return a.Network == TCP || a.Network == Unix }

// Abstract reports an address of the unix networks without a file.
func (a Address) Abstract() bool { return strings.HasPrefix(a.Path, "@") }

// File is the path of the file that it is listened on with; empty if it has none.
func (a Address) File() string {
	if a.Abstract() {
		return ""
	}
	return a.Path
}

// Place is the address without what its file is made with: what is equal there cannot
// be listened on twice.
func (a Address) Place() Address {
	a.Mode, a.User, a.Group = 0, "", ""
	return a
}

// Endpoint is the address as package net takes it.
func (a Address) Endpoint() string {
	if a.Path != "" {
		return a.Path
	}
	host := a.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(a.Port))
}

// String is the address with its network in front; "" for the zero Address.
func (a Address) String() string {
	if a.Network == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString(a.Network + ":" + a.Endpoint())
	if a.Mode != 0 {
		fmt.Fprintf(&b, ",mode=%04o", a.Mode)
	}
	if a.User != "" {
		b.WriteString(",user=" + a.User)
	}
	if a.Group != "" {
		b.WriteString(",group=" + a.Group)
	}
	return b.String()
}

// Parse reads an address. One without a network is a unix path if it begins with a
// slash or @, and otherwise TCP. Errors name the address, the reason and the next step.
func Parse(text string) (Address, error) {
	a, why := parse(text)
	if why != "" {
		return Address{}, fmt.Errorf("%s: %s", quoted(text), why)
	}
	return a, nil
}

func quoted(text string) string {
	if len(text) > 200 {
		text = text[:200] + "..."
	}
	return strconv.Quote(text)
}

func parse(text string) (a Address, why string) {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] == 0x7f {
			return a, "an address has no blanks and no control characters: write tcp:HOST:PORT or unix:/PATH"
		}
	}
	network, rest, tagged := strings.Cut(text, ":")
	switch {
	case text == "":
		return a, "there is no address: write tcp:HOST:PORT or unix:/PATH"
	case strings.HasPrefix(text, "/"), strings.HasPrefix(text, "@"):
		return parsePath(Unix, text)
	case !tagged:
		return a, "it has no port: write tcp:HOST:PORT, or unix:/PATH for a socket file"
	case network == Unix, network == Unixgram, network == FIFO:
		return parsePath(network, rest)
	case network == TCP, network == UDP:
		return parsePort(network, rest)
	}
	return parsePort(TCP, text)
}

func parsePort(network, text string) (a Address, why string) {
	at := strings.LastIndexByte(text, ':')
	if at < 0 {
		return a, "it has no port: write " + network + ":HOST:PORT"
	}
	host, number := text[:at], text[at+1:]
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 || number[0] == '+' {
		return a, "the port is a number from 1 to 65535"
	}
	inner, opened := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	switch {
	case opened != closed || opened && !strings.Contains(inner, ":"):
		return a, "the brackets are for an IPv6 address: write " + network + ":[::1]:5432"
	case host == "*":
		host = ""
	case opened:
		ip, err := netip.ParseAddr(inner)
		if err != nil || !ip.Is6() || strings.ContainsAny(ip.Zone(), "[]/,") {
			return a, "what is in brackets is no IPv6 address"
		}
		host = inner
	case strings.Contains(host, ":"):
		return a, "an IPv6 address stands in brackets: write " + network + ":[::1]:5432"
	case !isHost(host):
		return a, "the host is an IP address or a name"
	}
	return Address{Network: network, Host: host, Port: uint16(port)}, ""
}

// isHost takes names by the letters that they have; whether there is such a host
// shows when it is looked up.
func isHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return len(host) <= 253 && !strings.HasPrefix(host, "-") && !strings.HasPrefix(host, ".")
}

func parsePath(network, text string) (a Address, why string) {
	a.Network = network
	text, why = a.options(text)
	if why != "" {
		return a, why
	}
	abstract := strings.HasPrefix(text, "@")
	switch {
	case abstract && network == FIFO:
		return a, "a fifo has a file: write fifo:/PATH"
	case abstract && (a.Mode != 0 || a.User != "" || a.Group != ""):
		return a, "an abstract socket has no file, and so no mode and no owner: leave them out"
	case abstract && len(text) < 2:
		return a, "an abstract socket has a name: write unix:@NAME"
	case !abstract && !strings.HasPrefix(text, "/"):
		return a, "the path begins with a slash: write " + network + ":/PATH"
	case strings.HasSuffix(text, "/"):
		return a, "the path is that of a file: it does not end in a slash"
	case len(text) > maxPath:
		return a, fmt.Sprintf("the path has %d bytes, at most %d fit: choose a shorter one", len(text), maxPath)
	}
	a.Path = text
	return a, ""
}

// options takes the options off the end of a path: ",mode=0660,user=U,group=G".
func (a *Address) options(text string) (path, why string) {
	for {
		at := strings.LastIndexByte(text, ',')
		if at < 0 {
			return text, ""
		}
		key, value, given := strings.Cut(text[at+1:], "=")
		switch {
		case given && key == "mode":
			mode, err := strconv.ParseUint(value, 8, 32)
			if err != nil || mode == 0 || mode > 0o777 || value[0] == '+' {
				return "", "the mode is an octal number up to 0777, such as mode=0660"
			}
			a.Mode = uint32(mode)
		case given && key == "user" && value != "":
			a.User = value
		case given && key == "group" && value != "":
			a.Group = value
		default:
			return "", "after a comma there is mode=0660, user=NAME or group=NAME"
		}
		text = text[:at]
	}
}
