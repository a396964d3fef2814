package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"zinit/depgraph"
	"zinit/supervise/config"
)

// relations finds what is wrong between the services of a set: cycles, names that
// nobody has, and contradictions.
func relations(set checkSet) []config.Problem {
	byName := make(map[string]*config.Service, len(set.Services))
	nodes := make([]depgraph.Node, len(set.Services))
	for i, svc := range set.Services {
		byName[svc.Name] = svc
		nodes[i] = depgraph.Node{
			Name: svc.Name, Requires: svc.Requires, After: svc.After, Wants: svc.Wants, Conflicts: svc.Conflicts,
			Awaits: svc.Awaits,
		}
	}
	c := relationCheck{byName: byName, broken: map[string]bool{}, complete: set.complete}
	for _, p := range set.Problems {
		if p.Severity == config.Error {
			c.broken[p.Service] = true
		}
	}
	_, faults := depgraph.Build(nodes)
	for _, fault := range faults {
		if fault.Cycle != nil {
			c.cycle(byName[fault.Name], fault.Cycle)
		}
	}
	for _, svc := range set.Services {
		c.strangers(svc)
	}
	return c.problems
}

type relationCheck struct {
	byName   map[string]*config.Service
	broken   map[string]bool // named by a file that cannot be loaded
	complete bool
	problems []config.Problem
}

// cycle reports one member of a cycle, at the dependency that leads on.
func (c *relationCheck) cycle(svc *config.Service, cycle *depgraph.CycleError) {
	next := ""
	if i := slices.Index(cycle.Path, svc.Name); i >= 0 && i+1 < len(cycle.Path) {
		next = cycle.Path[i+1]
	}
	for _, rel := range relationsOf(svc) {
		if slices.Contains(rel.names, next) {
			c.add(svc, rel.key, next, config.Error, cycle.Error()+": remove one of these dependencies")
			return
		}
	}
	c.add(svc, "", "", config.Error, cycle.Error()+": remove one of these dependencies")
}

// strangers reports names that the set does not have, and contradictions.
func (c *relationCheck) strangers(svc *config.Service) {
	for _, rel := range relationsOf(svc) {
		for _, name := range rel.names {
			_, known := c.byName[name]
			switch {
			case rel.key == "requires" && slices.Contains(svc.Conflicts, name):
				c.add(svc, rel.key, name, config.Error,
					fmt.Sprintf("%s is also among the conflicts, so %s can never start: remove it from one of them", name, svc.Name))
			case known || rel.key == "conflicts":
				// A conflict with what is not installed is a normal thing.
			case rel.key == "requires" && c.broken[name]:
				c.add(svc, rel.key, name, config.Error,
					fmt.Sprintf("%s cannot be loaded: mend its file first", name))
			case rel.key != "requires" && isMilestone(svc.Source, name):
				// Files of sideros-start name some that nothing describes.
			case !c.complete:
				c.add(svc, rel.key, name, config.Warning,
					fmt.Sprintf("%s is not among the files that are checked: check the directory as a whole", name))
			case rel.key == "requires":
				c.add(svc, rel.key, name, config.Error, c.unknown(name)+": add it, or drop it from requires")
			case rel.key == "awaits":
				c.add(svc, rel.key, name, config.Warning, c.unknown(name)+": "+svc.Name+" waits until it does")
			default:
				c.add(svc, rel.key, name, config.Warning, c.unknown(name)+": it is ignored")
			}
		}
	}
}

// isMilestone reports that a file calls a name NAME.target, as those of sideros-start do.
func isMilestone(file, name string) bool {
	return slices.ContainsFunc([]string{"after", "requires", "wants"}, func(key string) bool {
		return lineOf(file, key, name+".target") > 0
	})
}

func (c *relationCheck) unknown(name string) string {
	names := make([]string, 0, len(c.byName))
	for n := range c.byName {
		names = append(names, n)
	}
	slices.Sort(names)
	text := name + " does not exist"
	if near := config.Nearest(name, names); near != "" {
		text += " (did you mean " + near + "?)"
	}
	return text
}

type relation struct {
	key   string
	names []string
}

func relationsOf(svc *config.Service) []relation {
	return []relation{
		{"requires", svc.Requires}, {"after", svc.After}, {"wants", svc.Wants}, {"conflicts", svc.Conflicts},
		{"awaits", svc.Awaits},
	}
}

func (c *relationCheck) add(svc *config.Service, key, name string, severity config.Severity, message string) {
	p := config.Problem{File: svc.Source, Service: svc.Name, Severity: severity, Message: message}
	switch {
	case key == "":
	case strings.HasSuffix(svc.Source, ".yaml"):
		p.Line, p.Key = lineOf(svc.Source, "after", name), "after"
	default:
		p.Line, p.Key = lineOf(svc.Source, key, name), "dependencies."+key
	}
	c.problems = append(c.problems, p)
}

// lineOf finds the line on which a key has a name among its values, or without a
// name the line of the key; 0 when it does not see it. A Service in hand has no positions any more, and only a person reads
// this one, so it is looked for in the text.
func lineOf(file, key, name string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasSuffix(file, ".yaml") {
			inside = inside && strings.Trim(line[:min(1, len(line))], " -#") == "" || strings.HasPrefix(line, key+":")
			if inside && slices.Contains(strings.FieldsFunc(line, notInYAMLNames), name) {
				return i + 1
			}
			continue
		}
		if before, _, ok := strings.Cut(line, "="); ok && !strings.ContainsAny(before, `"'`) {
			inside = strings.TrimSpace(before) == key
		}
		if inside && (name == "" || strings.Contains(line, `"`+name+`"`) || strings.Contains(line, `'`+name+`'`)) {
			return i + 1
		}
	}
	return 0
}

// notInYAMLNames tells what stands between the names of a list.
func notInYAMLNames(r rune) bool { return strings.ContainsRune(" ,[]:\"'", r) }
