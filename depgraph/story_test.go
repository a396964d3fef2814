package depgraph

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Stories are in testdata/graph. Each is a list of blocks, separated by empty
// lines: a command, a line of four dashes, the full expected output. Lines that
// begin with # are comments. The commands:
//
//	graph                   begin anew; the lines that follow are nodes:
//	                        NAME: KIND NAME..., KIND NAME...
//	                        prints the faults, or "ok"
//	order                   the start order
//	stop [NAME...]          the stop waves, of the named nodes or of all
//	closure NAME            what a start of NAME starts
//	dependents NAME         what goes down with NAME
//	ready [FACT...]         what may start; facts as for why
//	why NAME [FACT...]      what keeps NAME from starting. A fact is NAME=WORDS
//	                        with satisfied, attempted, active joined by "+"; a
//	                        node without is none of them
//	edges NAME              out, in and conflicts of NAME
//	cycle-with NODE         would this node make a cycle? NODE as for graph
func TestStories(t *testing.T) {
	files, err := filepath.Glob("../testdata/graph/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("found the stories %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := tell(t, string(text))
			if got == string(text) {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s differs (-update rewrites it); it is now:\n%s", file, got)
		})
	}
}

var update = flag.Bool("update", false, "rewrite the expected output of the stories")

// tell runs a story and returns it with the output that it has now.
func tell(t *testing.T, story string) string {
	var out strings.Builder
	var s storyteller
	for k, block := range strings.Split(strings.TrimRight(story, "\n"), "\n\n") {
		if k > 0 {
			out.WriteString("\n")
		}
		command, _, _ := strings.Cut(block, "\n----")
		fmt.Fprintln(&out, command)
		lines := slices.DeleteFunc(strings.Split(command, "\n"), func(line string) bool {
			return strings.HasPrefix(line, "#")
		})
		if len(lines) == 0 {
			continue // a comment of its own
		}
		result, err := s.run(lines)
		if err != nil {
			t.Fatalf("%q: %v", command, err)
		}
		fmt.Fprintf(&out, "----\n%s", result)
	}
	return out.String()
}

type storyteller struct{ g *Graph }

func (s *storyteller) run(lines []string) (string, error) {
	words := strings.Fields(lines[0])
	if words[0] == "graph" {
		return s.build(lines[1:])
	}
	args := words[1:]
	switch words[0] {
	case "order":
		return s.line(s.g.StartOrder()), nil
	case "stop":
		return s.stop(args), nil
	case "ready":
		facts, err := s.facts(args)
		return s.line(s.g.Ready(
			func(i int) bool { return facts(i).Satisfied },
			func(i int) bool { return facts(i).Active || facts(i).Attempted })), err
	case "cycle-with":
		node, err := parseNode(strings.Join(args, " "))
		if err != nil {
			return "", err
		}
		if cycle := s.g.CycleWith(node.Name, node); cycle != nil {
			return cycle.Error() + "\n", nil
		}
		return "no\n", nil
	}
	i, ok := s.g.Index(args[0])
	if !ok {
		return "", fmt.Errorf("no node %q", args[0])
	}
	switch words[0] {
	case "closure":
		return s.line(s.g.Closure(i)), nil
	case "dependents":
		return s.line(s.g.Dependents(i)), nil
	case "edges":
		return s.edges(i), nil
	case "why":
		facts, err := s.facts(args[1:])
		return s.why(i, facts), err
	}
	return "", fmt.Errorf("no command %q", words[0])
}

func (s *storyteller) build(lines []string) (string, error) {
	var nodes []Node
	for _, line := range lines {
		node, err := parseNode(line)
		if err != nil {
			return "", err
		}
		nodes = append(nodes, node)
	}
	var faults []Fault
	s.g, faults = Build(nodes)
	if len(faults) == 0 {
		return "ok\n", nil
	}
	var out strings.Builder
	for _, f := range faults {
		fmt.Fprintln(&out, f)
	}
	return out.String(), nil
}

// parseNode reads "web: requires db cache, after log".
func parseNode(line string) (Node, error) {
	name, rest, _ := strings.Cut(line, ":")
	node := Node{Name: name}
	for part := range strings.SplitSeq(rest, ",") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		list := map[string]*[]string{
			"requires": &node.Requires, "after": &node.After, "wants": &node.Wants,
			"conflicts": &node.Conflicts, "awaits": &node.Awaits,
		}[words[0]]
		if list == nil {
			return node, fmt.Errorf("no kind %q in %q", words[0], line)
		}
		*list = append(*list, words[1:]...)
	}
	return node, nil
}

func (s *storyteller) facts(words []string) (func(int) Fact, error) {
	facts := map[string]Fact{}
	for _, word := range words {
		name, list, _ := strings.Cut(word, "=")
		if _, ok := s.g.Index(name); !ok {
			return nil, fmt.Errorf("no node %q", name)
		}
		facts[name] = Fact{
			Satisfied: strings.Contains(list, "satisfied"),
			Attempted: strings.Contains(list, "attempted"),
			Active:    strings.Contains(list, "active"),
		}
	}
	return func(i int) Fact { return facts[s.g.Name(i)] }, nil
}

func (s *storyteller) stop(names []string) string {
	var out strings.Builder
	for k, wave := range s.g.StopWaves(func(i int) bool {
		return len(names) == 0 || slices.Contains(names, s.g.Name(i))
	}) {
		fmt.Fprintf(&out, "%d: %s", k+1, s.line(wave))
	}
	return out.String()
}

func (s *storyteller) why(i int, facts func(int) Fact) string {
	var out strings.Builder
	for _, b := range s.g.Blockers(i, facts) {
		fmt.Fprintln(&out, b.Kind, b.Name)
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

func (s *storyteller) edges(i int) string {
	var out strings.Builder
	for _, e := range s.g.Out(i) {
		fmt.Fprintln(&out, "out", e.Kind, s.g.Name(int(e.To)))
	}
	for _, e := range s.g.In(i) {
		fmt.Fprintln(&out, "in", e.Kind, s.g.Name(int(e.To)))
	}
	for _, j := range s.g.Conflicts(i) {
		fmt.Fprintln(&out, "conflicts", s.g.Name(int(j)))
	}
	return out.String()
}

func (s *storyteller) line(nodes []int32) string {
	if len(nodes) == 0 {
		return "none\n"
	}
	return strings.Join(s.g.namesOf(nodes), " ") + "\n"
}
