package power

import (
	"errors"
	"fmt"
	"io"

	"zinit/applets/env"
	"zinit/sock"
)

const usage = `usage: %s [-f] [-p]

Stops all services in order, then ends the machine: poweroff switches it off, reboot
starts it anew, halt leaves it on.

  -f, --force     at once: write what is to be written, stop nothing
  -p, --poweroff  power off, whatever this program is called
      --halt      halt
      --reboot    start the machine anew
      --kexec     start the kernel that was loaded for that
`

// Main is the applets poweroff, reboot and halt. It returns when the order is given.
func Main(e *env.Env) int { return command(e, thisMachine(e)) }

func command(e *env.Env, m machine) int {
	w := map[string]way{"reboot": wayReboot, "halt": wayHalt}[e.Name()]
	if w.name == "" {
		w = wayPoweroff
	}
	force := false
	for _, a := range e.Args[1:] {
		switch a {
		case "-f", "--force", "-ff":
			force = true
		case "-p", "--poweroff":
			w = wayPoweroff
		case "--halt":
			w = wayHalt
		case "--reboot":
			w = wayReboot
		case "--kexec":
			w = wayKexec
		case "-d", "-n", "-i", "-h", "--no-wtmp", "--no-wall", "--no-sync": // other programs of the name take them
		case "--help":
			return say(e, fmt.Sprintf(usage, e.Name()))
		default:
			fmt.Fprintf(e.Stderr, "%s: unexpected argument %q\n\n"+usage, e.Name(), a, e.Name())
			return env.ExitUsage
		}
	}
	err := error(nil)
	if force {
		err = m.endNow(w)
	} else {
		err = m.end(w)
	}
	return tell(e, err)
}

const telinitUsage = `usage: %s 0|1|s|2|3|4|5|6|q

  0       power off
  6       reboot
  1, s    stop what is not of the system, then give the console a shell
  2 to 5  start the user's services again, and end that shell
  q       read the configuration again
`

// Telinit is the applet telinit, and init where that is not process 1 and has one of
// its words.
func Telinit(e *env.Env) int { return telinit(e, thisMachine(e)) }

// IsTelinit reports that init is called as telinit is.
func IsTelinit(args []string) bool { return len(args) == 2 && levels(args[1]) }

func levels(word string) bool {
	switch word {
	case "0", "1", "2", "3", "4", "5", "6", "s", "S", "q", "Q":
		return true
	}
	return false
}

func telinit(e *env.Env, m machine) int {
	if len(e.Args) != 2 || !levels(e.Args[1]) {
		if len(e.Args) == 2 && (e.Args[1] == "-h" || e.Args[1] == "--help") {
			return say(e, fmt.Sprintf(telinitUsage, e.Name()))
		}
		if len(e.Args) == 2 {
			fmt.Fprintf(e.Stderr, "%s: %q is no runlevel\n\n", e.Name(), e.Args[1])
		}
		fmt.Fprintf(e.Stderr, telinitUsage, e.Name())
		return env.ExitUsage
	}
	var err error
	switch e.Args[1] {
	case "0":
		return tell(e, m.end(wayPoweroff))
	case "6":
		return tell(e, m.end(wayReboot))
	case "q", "Q":
		err = m.ask(sock.MethodReload, nil, nil)
	case "1", "s", "S":
		err = m.repair()
	default:
		err = m.repaired()
	}
	if errors.Is(err, errNoServer) {
		err = fmt.Errorf("%w: be root, or name its socket in ZINIT_SOCKET", err)
	}
	return tell(e, err)
}

func say(e *env.Env, text string) int {
	if _, err := io.WriteString(e.Stdout, text); err != nil {
		return env.ExitFailed
	}
	return env.ExitDone
}

func tell(e *env.Env, err error) int {
	if err != nil {
		fmt.Fprintf(e.Stderr, "%s: %v\n", e.Name(), err)
		return env.ExitFailed
	}
	return env.ExitDone
}
