package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"zinit/applets/env"
	"zinit/sock"
)

// xinetVerb is the verb about proxies.
func xinetVerb() verb {
	return verb{
		name: "xinet", args: "set|delete|list|status [NAME]", min: 1, max: 2,
		flags: []flag{
			{"listen", "l", "ADDR", "where clients connect; may be repeated"},
			{"backend", "b", "ADDR", "where the service listens"},
			{"service", "", "S", "the service that is started for them"},
			{"connect-timeout", "", "D", "how long they wait for it (default: 30s)"},
			{"idle-timeout", "", "D", "stop it when unused for D (default: 0, never)"},
			{"idle-from", "", "W", "that counts from the last close (default) or byte"},
			{"max-connections", "", "N", "serve N at a time (default: 0, any number)"},
			{"on-busy", "", "W", "queue (default) or refuse those above N"},
			{"single-connection", "", "", ""}, {"single", "", "", "one at a time; others are refused"},
			jsonFlag,
		},
		summary: "proxies that start services for whoever connects",
		help: `ADDR is tcp:HOST:PORT or unix:/PATH[,mode=0660,user=U,group=G]. set replaces
a proxy of that name; connections go on, as they do after delete. A proxy is
a file of the configuration directory. register and unregister mean the same.
`,
		example: "zinit xinet set pg -l :5432 -b unix:/run/pg.sock --service postgres\nzinit xinet status pg",
		run:     xinet,
	}
}

func xinet(s *session) int {
	word, name := s.call.words[0], ""
	if len(s.call.words) > 1 {
		name = s.call.words[1]
	}
	needsName := word != "list" && word != "status"
	switch {
	case needsName && name == "" && xinetWord(word):
		return s.usage(usage(word + ": NAME is missing: zinit help xinet"))
	case word == "list" && name != "":
		return s.usage(usage("list: " + strconv.Quote(name) + " is too much: zinit xinet status " + name + " shows one"))
	}
	switch word {
	case "set", "register":
		return s.xinetSet(name)
	case "delete", "unregister":
		if err := s.ask(sock.MethodXinetDelete, sock.NameParams{Name: name}, nil); err != nil {
			return s.fail(err)
		}
		s.printf("Unregistered xinet proxy '%s'\n", escape(name))
		return env.ExitDone
	case "list":
		return s.xinetList()
	case "status":
		return s.xinetStatus(name)
	}
	return s.usage(usage("unknown word " + strconv.Quote(word) + ": use set, delete, list or status"))
}

func xinetWord(word string) bool {
	switch word {
	case "set", "register", "delete", "unregister":
		return true
	}
	return false
}

func (s *session) xinetSet(name string) int {
	c := s.call
	for _, needed := range []string{"listen", "backend", "service"} {
		if !c.has(needed) {
			return s.usage(usage("set: --" + needed + " is missing: zinit help xinet"))
		}
	}
	p := map[string]any{
		"name": name, "listen": c.flags["listen"], "backend": c.value("backend", ""), "service": c.value("service", ""),
		"connect_timeout": 30.0, "idle_timeout": 0.0, "single_connection": c.has("single") || c.has("single-connection"),
	}
	for flag, key := range map[string]string{"connect-timeout": "connect_timeout", "idle-timeout": "idle_timeout"} {
		if !c.has(flag) {
			continue
		}
		seconds, err := inSeconds(c.value(flag, ""))
		if err != nil {
			return s.usage(usage("set: --" + flag + " " + err.Error()))
		}
		p[key] = seconds
	}
	if c.has("max-connections") {
		n, err := strconv.ParseUint(c.value("max-connections", ""), 10, 31)
		if err != nil {
			return s.usage(usage("set: --max-connections is a number, not " + strconv.Quote(c.value("max-connections", ""))))
		}
		p["max_connections"] = n
	}
	for flag, key := range map[string]string{"idle-from": "idle_from", "on-busy": "on_busy"} {
		if c.has(flag) {
			p[key] = c.value(flag, "")
		}
	}
	if err := s.ask(sock.MethodXinetSet, map[string]any{"config": p}, nil); err != nil {
		return s.fail(err)
	}
	s.printf("Set xinet proxy '%s'\n", escape(name))
	s.warnOfNobody(c.value("service", ""))
	return env.ExitDone
}

// warnOfNobody warns when there is no service of that name: it may come later.
func (s *session) warnOfNobody(service string) {
	err := s.ask(sock.MethodStatus, sock.NameParams{Name: service}, nil)
	if err == nil || exitCode(err) != env.ExitUnknown {
		return
	}
	text := "there is no service " + service
	if near := s.nearest(service); near != "" {
		text += " (did you mean " + near + "?)"
	}
	s.warn(text + ": connections fail until there is")
}

// inSeconds reads 30, 1.5 or 5m.
func inSeconds(text string) (float64, error) {
	if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 && n < 1e9 {
		return n, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("is a number of seconds, or 500ms, 30s, 5m, not %q", text)
	}
	return d.Seconds(), nil
}

func (s *session) xinetList() int {
	if s.call.has("json") {
		return s.relay(sock.MethodXinetList, nil)
	}
	var names []string
	if err := s.ask(sock.MethodXinetList, nil, &names); err != nil {
		return s.fail(err)
	}
	if len(names) == 0 {
		s.print("No xinet proxies registered\n")
		return env.ExitDone
	}
	s.print("Registered xinet proxies:\n")
	for _, name := range names {
		s.printf("  %s\n", escape(name))
	}
	return env.ExitDone
}

func (s *session) xinetStatus(name string) int {
	method, params := sock.MethodXinetStatusAll, any(nil)
	if name != "" {
		method, params = sock.MethodXinetStatus, sock.NameParams{Name: name}
	}
	var raw json.RawMessage
	if err := s.ask(method, params, &raw); err != nil {
		return s.fail(named(name, err))
	}
	if s.call.has("json") {
		s.printf("%s\n", raw)
		return env.ExitDone
	}
	var list []sock.XinetStatus
	if name != "" {
		raw = json.RawMessage("[" + string(raw) + "]")
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return s.fail(fmt.Errorf("cannot read the answer to %s: %w", method, err))
	}
	if len(list) == 0 {
		s.print("No xinet proxies registered\n")
	}
	for i := range list {
		if i > 0 {
			s.print("\n")
		}
		s.printProxy(&list[i])
	}
	return env.ExitDone
}

// printProxy prints the lines of zinit 0.3.9, and ours below.
func (s *session) printProxy(p *sock.XinetStatus) {
	state := "running"
	if !p.Running {
		state = "stopped"
	}
	s.printf("Proxy: %s\n", escape(p.Name))
	s.printf("  Listen:  %q\n", p.Listen)
	s.printf("  Backend: %q\n", p.Backend)
	s.printf("  Service: %s\n", escape(p.Service))
	s.printf("  Status:  %s\n", state)
	s.printf("  Connections: %d active, %d total\n", max(p.ActiveConnections, p.Connections), p.TotalConnections)
	s.printf("  Traffic: %d bytes in, %d bytes out\n", p.BytesToBackend, p.BytesFromBackend)
	text := plural(p.Activations, "start") + " of the service"
	if p.Failed > 0 {
		text += ", " + plural(p.Failed, "connection") + " failed"
	}
	if p.Refused > 0 {
		text += ", " + plural(p.Refused, "connection") + " refused"
	}
	s.printf("  On demand: %s\n", text)
	s.printf("  Last activity: %s\n", s.ago(p.LastActivityMs))
	if p.Failed > 0 && p.Error == "" {
		s.printf("  Why: the server's log tells, and zinit why %s\n", escape(p.Service))
	}
	if p.Error != "" {
		s.printf("  Why: %s\n", strings.TrimSpace(escape(p.Error)))
	}
}
