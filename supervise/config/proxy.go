package config

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"zinit/proxy/address"
	"zinit/proxy/rules"
)

// A Proxy is a proxy as a file or a request describes it.
type Proxy struct {
	rules.Proxy
	Single bool   // it is said that one connection is served at a time
	Source string // the file; empty: none
}

// connectTimeout is how long a connection waits when nobody says.
const connectTimeout = 30 * time.Second

var (
	idleWords = [...]string{"close", "byte"}
	busyWords = [...]string{"queue", "refuse"}
)

// proxyKeys are those of [xinet]. Each has its setter; required ones must be there.
var proxyKeys = [...]proxyKey{
	{name: "name", required: true, set: func(p *Proxy, v value) { p.Name = v.properName() }},
	{name: "listen", required: true, set: func(p *Proxy, v value) {
		for _, e := range v.lines() {
			if a, ok := e.address(); ok {
				p.Listen = append(p.Listen, a)
			}
		}
	}},
	{name: "backend", required: true, set: func(p *Proxy, v value) { p.Backend, _ = v.address() }},
	{name: "service", required: true, set: func(p *Proxy, v value) { p.Service = v.properName() }},
	{name: "connect_timeout", set: func(p *Proxy, v value) { p.ConnectTimeout = v.period() }},
	{name: "idle_timeout", set: func(p *Proxy, v value) { p.IdleTimeout = v.period() }},
	{name: "idle_from", words: idleWords[:], set: func(p *Proxy, v value) { p.FromByte = v.word() == 1 }},
	{name: "single_connection", set: func(p *Proxy, v value) { p.Single, _ = v.flag() }},
	{name: "max_connections", set: func(p *Proxy, v value) {
		n, _ := v.integer(0, math.MaxInt32)
		p.MaxConnections = int(n)
	}},
	{name: "on_busy", words: busyWords[:], set: func(p *Proxy, v value) { p.Refuse = v.word() == 1 }},
}

// properName takes a name; what is none was reported.
func (v value) properName() string {
	name, ok := v.text()
	switch {
	case !ok:
	case name == "" && v.short() == "service":
		v.fail("service name is required")
	case name == "":
		v.fail("name is required")
	default:
		if err := CheckName(name); err != nil {
			v.fail("%s %s", v.key, err)
		}
	}
	return name
}

func (v value) address() (address.Address, bool) {
	text, ok := v.text()
	if !ok {
		return address.Address{}, false
	}
	a, err := address.Parse(text)
	if err != nil {
		v.fail("%s", err)
	}
	return a, err == nil
}

// period takes seconds, or a text with a unit.
func (v value) period() time.Duration {
	var seconds float64
	switch n := v.entry.value.(type) {
	case int64:
		seconds = float64(n)
	case float64:
		seconds = n
	default:
		if text, ok := n.(string); ok && (text == "0" || text == "0s") {
			return 0
		}
		d, _ := v.duration(maxDuration)
		return d
	}
	if !(seconds >= 0 && seconds <= maxDuration.Seconds()) {
		v.fail("must be a number of seconds from 0 on, or a duration such as \"30s\" or \"5m\"")
		return 0
	}
	return time.Duration(seconds*1000) * time.Millisecond
}

// proxyTable is the [xinet] of a file that describes a proxy, and no service.
func proxyTable(root *tomlTable) (t *tomlTable, is bool) {
	for _, e := range root.entries {
		switch e.key {
		case "service", "target":
			return nil, false
		case "xinet":
			t, is = e.value.(*tomlTable)
		}
	}
	return t, is
}

// proxy reads the keys of [xinet]. What is wrong was reported.
func (f *file) proxy(t *tomlTable) *Proxy {
	p := &Proxy{Proxy: rules.Proxy{ConnectTimeout: connectTimeout}, Source: f.path}
	given := map[string]bool{}
	for _, e := range t.entries {
		i := slices.IndexFunc(proxyKeys[:], func(k proxyKey) bool { return k.name == e.key })
		if i < 0 {
			f.unknownProxyKey(e)
			continue
		}
		k := &proxyKeys[i]
		if f.wire && e.value == nil && !k.required {
			continue
		}
		given[k.name] = true
		k.set(p, value{f, &key{name: k.name, words: k.words}, "xinet." + k.name, e})
	}
	for _, k := range proxyKeys {
		switch {
		case !k.required || given[k.name]:
		case f.wire:
			f.report(Error, t.line, "xinet."+k.name, "missing field `%s`", k.name)
		default:
			f.report(Error, t.line, "xinet."+k.name, "missing field `%s`: write %s = …", k.name, k.name)
		}
	}
	if p.Single {
		if p.MaxConnections > 1 {
			f.report(Error, t.line, "xinet.single_connection", "and max_connections = %d contradict each other: remove one", p.MaxConnections)
		}
		p.MaxConnections = 1
		p.Refuse = p.Refuse || !given["on_busy"]
	}
	if !f.failed {
		if err := p.Check(); err != nil {
			f.report(Error, t.line, "xinet", "%s", err)
		}
	}
	return p
}

// A proxyKey is a key of [xinet].
type proxyKey struct {
	name     string
	required bool
	words    []string
	set      func(p *Proxy, v value)
}

func (f *file) unknownProxyKey(e tomlEntry) {
	var names []string
	for _, k := range proxyKeys {
		names = append(names, k.name)
	}
	hint := "remove it"
	if near := Nearest(e.key, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	f.report(Warning, e.line, "xinet."+e.key, "%s is not a key of [xinet]: %s", e.key, hint)
}

// ProxyFromJSON reads what xinet.set takes: an object with the keys of [xinet]. The
// error is a *ShapeError if it has another form, or else an *InvalidError.
func ProxyFromJSON(text []byte) (*Proxy, error) {
	if len(text) > MaxFile {
		return nil, &InvalidError{[]string{"is larger than 1 MiB: shorten it"}}
	}
	v, err := decodeJSON(text)
	if err != nil {
		return nil, err
	}
	t, ok := v.(*tomlTable)
	if !ok {
		return nil, shapeError("invalid type: %s, expected struct XinetConfig", jsonName(v))
	}
	for _, k := range proxyKeys {
		if k.required && !slices.ContainsFunc(t.entries, func(e tomlEntry) bool { return e.key == k.name }) {
			return nil, shapeError("missing field `%s`", k.name)
		}
	}
	f := &file{wire: true, lines: map[string]int{}}
	p := f.proxy(t)
	var bad []string
	for _, problem := range f.findings {
		if problem.severity == Error {
			bad = append(bad, problem.message)
		}
	}
	if bad != nil {
		return nil, &InvalidError{bad}
	}
	return p, nil
}

// RenderProxy is the file of a proxy.
func RenderProxy(p *Proxy) []byte {
	var b bytes.Buffer
	line := func(key, value string) { fmt.Fprintf(&b, "%s = %s\n", key, value) }
	b.WriteString("[xinet]\n")
	line("name", inQuotes(p.Name))
	var listen []string
	for _, a := range p.Listen {
		listen = append(listen, inQuotes(a.String()))
	}
	line("listen", "["+strings.Join(listen, ", ")+"]")
	line("backend", inQuotes(p.Backend.String()))
	line("service", inQuotes(p.Service))
	line("connect_timeout", inQuotes(formatDuration(p.ConnectTimeout)))
	if p.IdleTimeout > 0 {
		line("idle_timeout", inQuotes(formatDuration(p.IdleTimeout)))
	}
	if p.FromByte {
		line("idle_from", inQuotes(idleWords[1]))
	}
	switch {
	case p.Single:
		line("single_connection", "true")
	case p.MaxConnections > 0:
		line("max_connections", strconv.Itoa(p.MaxConnections))
	}
	if p.MaxConnections > 0 && p.Refuse != p.Single {
		word := busyWords[0]
		if p.Refuse {
			word = busyWords[1]
		}
		line("on_busy", inQuotes(word))
	}
	return b.Bytes()
}

// SaveProxy writes p as a file of the directory dir: in the place of the one at
// p.Source, if that is there, or else as NAME.xinet.toml. It is done as one step, as by
// Save: when it fails the old file is whole. What the file was is kept as kept if
// something in it, such as a comment, is not there any more.
func SaveProxy(dir string, p *Proxy) (path, kept string, err error) {
	path = p.Source
	if path == "" || filepath.Dir(path) != filepath.Clean(dir) {
		path = filepath.Join(dir, p.Name+".xinet.toml")
	}
	if err := mayHold(dir); err != nil {
		return path, "", err
	}
	text := RenderProxy(p)
	old, st, err := readFile(path)
	switch {
	case os.IsNotExist(err) || err != nil && p.Source == "":
		if _, there := os.Lstat(path); there == nil {
			return path, "", fmt.Errorf("there is something else: move it away")
		}
		return path, "", replace(path, text, nil)
	case err != nil:
		return path, "", err
	case bytes.Equal(old, text):
		return path, "", nil
	}
	if !keeps(old, text) {
		if kept, _, err = keep(path, old, st); err != nil {
			return path, "", err
		}
	}
	return path, kept, replace(path, text, st)
}

// UnlinkProxy removes the file of a proxy; that there is none is no error.
func UnlinkProxy(p *Proxy) error {
	if p.Source == "" {
		return nil
	}
	if err := os.Remove(p.Source); err != nil && !os.IsNotExist(err) {
		return reason(err)
	}
	return syncDir(filepath.Dir(p.Source))
}

// addProxy takes in a proxy of a file, unless there is one of its name.
func (set *Set) addProxy(p *Proxy) {
	for _, other := range set.Proxies {
		if other.Name == p.Name {
			set.Problems = append(set.Problems, Problem{
				File: p.Source, Key: "xinet.name", Severity: Error,
				Message: fmt.Sprintf("%s is also the name of the proxy in %s: this file is not loaded; give it another name", quoted(p.Name), other.Source),
			})
			return
		}
	}
	set.Proxies = append(set.Proxies, p)
}
