package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"

	"zinit/applets/env"
	"zinit/sock"
)

// legacyVerbs are those of zinit 0.2 that zinit 0.3 has not.
func legacyVerbs() []verb {
	return []verb{
		{
			name: "monitor", args: "NAME...", min: 1, max: -1,
			summary: "take in the file of a service and start it, as in zinit 0.2",
			help: `NAME.yaml or NAME.toml of the configuration directory, as it is now. One that
is there already is an error.
`,
			example: "zinit monitor redis",
			run:     monitor,
		},
		{
			name: "forget", args: "NAME...", min: 1, max: -1,
			summary: "drop services that were stopped, as in zinit 0.2",
			help: `Their files stay, and are not read again before zinit monitor or the next
boot. zinit remove removes the file, too.
`,
			example: "zinit forget redis",
			run:     forget,
		},
		{
			name: "log", args: "[NAME]", max: 1,
			flags:   []flag{{"snapshot", "s", "", "only what there is"}},
			summary: "show what services printed, as in zinit 0.2",
			help: `Each line is [+] NAME: TEXT, or [-] for stderr and for what zinit says itself.
All that there is comes first, then what comes, until Ctrl-C. See zinit logs.
`,
			example: "zinit log\nzinit log -s redis",
			run:     legacyLog,
		},
	}
}

var legacyFlag = flag{"legacy", "", "", "in the shape of zinit 0.2"}

func monitor(s *session) int { return s.legacyChange(sock.MethodLegacyMonitor, "Monitored") }

// unloaded is what zinit 0.2 says of a file that it cannot use, whatever the reason.
const unloaded = "failed to load service config"

func forget(s *session) int { return s.legacyChange(sock.MethodLegacyForget, "Forgotten") }

func (s *session) legacyChange(method, done string) int {
	return s.each(s.call.words, func(name string) error {
		err := s.ask(method, sock.NameParams{Name: name}, nil)
		switch {
		case err == nil:
			s.printf("%s: %s\n", done, name)
		case err.Error() == unloaded:
			err = fmt.Errorf("%w: there is no file of %s, or it is wrong: zinit check tells", err, name)
		}
		return err
	})
}

// listLegacy shows the states of all services as YAML, in the words of zinit 0.2.
func (s *session) listLegacy() int {
	states := map[string]string{}
	if err := s.ask(sock.MethodLegacyList, nil, &states); err != nil {
		return s.fail(err)
	}
	s.print("---\n")
	if len(states) == 0 {
		s.print("{}\n")
	}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		s.printf("%s: %s\n", yamlScalar(name), yamlScalar(states[name]))
	}
	return env.ExitDone
}

// legacyStatus is what zinit 0.2 knows of a service.
type legacyStatus struct {
	Name   string
	PID    int
	State  string
	Target string
	After  map[string]string
}

// statusLegacy shows services as YAML, in the words of zinit 0.2.
func (s *session) statusLegacy(names []string) int {
	return s.each(names, func(name string) error {
		var st legacyStatus
		if err := s.ask(sock.MethodLegacyStatus, sock.NameParams{Name: name}, &st); err != nil {
			return err
		}
		s.printf("---\nname: %s\npid: %d\nstate: %s\ntarget: %s\n", yamlScalar(st.Name), st.PID, yamlScalar(st.State), yamlScalar(st.Target))
		if len(st.After) == 0 {
			s.print("after: {}\n")
			return nil
		}
		s.print("after:\n")
		for _, other := range slices.Sorted(maps.Keys(st.After)) {
			s.printf("  %s: %s\n", yamlScalar(other), yamlScalar(st.After[other]))
		}
		return nil
	})
}

// yamlScalar is a text as YAML has it on one line.
func yamlScalar(text string) string {
	text = escape(text)
	switch strings.ToLower(text) {
	case "", "null", "~", "true", "false", "yes", "no", "on", "off":
		return `"` + text + `"`
	}
	if strings.ContainsAny(text, ",:#[]{}&*!|>'\"%@`\\") || strings.Trim(text, "0123456789.+-eE_") == "" {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
	return text
}

// legacyLog shows the log stream of zinit 0.2; a server of that version sends it, too.
func legacyLog(s *session) int {
	if err := s.connect(); err != nil {
		return s.fail(err)
	}
	only := ""
	if len(s.call.words) > 0 {
		only = s.call.words[0]
		if err := s.ask(sock.MethodLegacyStatus, sock.NameParams{Name: only}, nil); err != nil {
			return s.fail(err)
		}
	}
	c, err := net.Dial("unix", s.path)
	if err != nil {
		return s.fail(fmt.Errorf("cannot connect to %s: %s", s.path, bareReason(err)))
	}
	defer c.Close()
	line := "log\n"
	if s.call.has("snapshot") {
		line = "log snapshot\n"
	}
	if _, err := io.WriteString(c, line); err != nil {
		return s.fail(fmt.Errorf("cannot ask for the log: %s", bareReason(err)))
	}
	if err := s.copyLog(c, only); err != nil {
		return s.fail(err)
	}
	return env.ExitDone
}

// longestLogLine bounds one line; the server cuts those of services far below that.
const longestLogLine = 1 << 20

// copyLog shows the lines of one service, or all, until the stream ends.
func (s *session) copyLog(from io.Reader, only string) error {
	in := bufio.NewReaderSize(from, longestLogLine)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the log ends: %s", bareReason(err))
		}
		text := strings.TrimSuffix(string(line), "\n")
		if only != "" && (len(text) < 4 || !strings.HasPrefix(text[4:], only+":")) {
			continue
		}
		if s.terminal {
			text = escape(text)
		}
		s.print(text + "\n")
		if in.Buffered() == 0 {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
}
