package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// arrows is the import policy: what each package may import beside the standard
// library. A package that is not listed may import nothing of ours.
var arrows = map[string]string{
	".":                 "applets applets/env",
	"applets":           "applets/env applets/initramfs applets/pid1 applets/power applets/prep applets/server applets/cli applets/sideros applets/xinet proxy/remote",
	"applets/env":       "",
	"applets/pid1":      "applets/env applets/pid1/host reap reap/cgroup supervise/logs/pump golang.org/x/sys/unix",
	"applets/pid1/host": "golang.org/x/sys/unix",
	"applets/sideros":   "applets/env applets/cli applets/pid1 supervise/config",
	"applets/power":     "applets/env sock supervise/proc golang.org/x/sys/unix",
	"applets/initramfs": "applets/env",
	// What it is ordered to do is reap's to describe; it knows nothing else.
	"applets/prep":    "applets/env reap golang.org/x/sys/unix",
	"applets/logline": "",
	"applets/xinet":   "applets/env applets/logline proxy proxy/address proxy/remote sock",
	"applets/server":  "applets/env applets/logline applets/server/ears applets/server/kin proxy proxy/address proxy/remote supervise supervise/launch supervise/config supervise/logs supervise/machine supervise/probe supervise/proc supervise/stamps supervise/state supervise/wallclock depgraph sock sock/legacy reap reap/cgroup",
	// Parts of the supervisor that look at the processes around, and listen to them.
	"applets/server/ears": "supervise supervise/config supervise/notify",
	"applets/server/kin":  "supervise supervise/config supervise/notify supervise/ports supervise/proc",
	"applets/cli":         "applets/env sock supervise/config depgraph",
	"supervise":           "supervise/launch supervise/machine supervise/config supervise/logs supervise/state depgraph reap",
	// How a process is born: what supervise orders, and what the keeper needs for it.
	"supervise/launch":    "supervise/config reap reap/cgroup",
	"supervise/machine":   "",
	"supervise/wallclock": "golang.org/x/sys/unix",
	"supervise/notify":    "golang.org/x/sys/unix",
	"supervise/ports":     "supervise/proc golang.org/x/sys/unix",
	"supervise/proc":      "golang.org/x/sys/unix",
	"supervise/probe":     "supervise/config",
	"supervise/stamps":    "",
	"supervise/state":     "",
	"supervise/config":    "supervise/config/words supervise/config/yaml proxy/address proxy/rules github.com/naoina/toml github.com/naoina/toml/ast",
	// The rule of zinit 0.2 for lines; its line protocol has it too.
	"supervise/config/words": "",
	"supervise/config/yaml":  "go.yaml.in/yaml/v3",
	"supervise/logs":         "supervise/logs/pump",
	"supervise/logs/pump":    "golang.org/x/sys/unix",
	"depgraph":               "",
	"proxy":                  "proxy/address proxy/rules golang.org/x/sys/unix",
	"proxy/address":          "",
	"proxy/rules":            "proxy/address",
	"proxy/remote":           "proxy proxy/rules golang.org/x/sys/unix",
	"reap":                   "reap/cgroup golang.org/x/sys/unix",
	// By path alone: the keeper, which ends them, and the server, which makes them.
	"reap/cgroup":   "golang.org/x/sys/unix",
	"reap/reaptest": "reap",
	// What runs in the virtual machine of the tests.
	"testdata/vm": "golang.org/x/sys/unix",
	"sock":        "golang.org/x/sys/unix",
	// A program that containers of tests run.
	"testdata/container/app": "",
	// A program of the same size that only waits, for a benchmark.
	"testdata/bench/waiter": "applets reap",
	"sock/zinit":            "sock supervise/config/words supervise/config/yaml",
	"sock/legacy":           "supervise/config/words",
}

// goFiles calls f for every Go file of the module.
func goFiles(t *testing.T, f func(file string, tree *ast.File)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && p != "." {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		tree, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		seen++
		f(filepath.ToSlash(p), tree)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 10 {
		t.Fatalf("saw only %d Go files", seen)
	}
}

func TestImportsFollowThePackageMap(t *testing.T) {
	goFiles(t, func(file string, tree *ast.File) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		pkg := path.Dir(file)
		allowed, known := arrows[pkg]
		if !known {
			t.Errorf("%s: package %s is not on the package map", file, pkg)
			return
		}
		for _, spec := range tree.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			ours := strings.HasPrefix(p, "zinit/")
			if !ours && !strings.Contains(strings.Split(p, "/")[0], ".") {
				if p == "os/exec" {
					t.Errorf("%s imports os/exec: only the keeper forks", file)
				}
				continue
			}
			want := strings.TrimPrefix(p, "zinit/")
			if !strings.Contains(" "+allowed+" ", " "+want+" ") {
				t.Errorf("%s: %s may not import %s", file, pkg, p)
			}
		}
	})
}

func TestNoPackageLevelWorkAndNoBareSleep(t *testing.T) {
	goFiles(t, func(file string, tree *ast.File) {
		test := strings.HasSuffix(file, "_test.go")
		for _, decl := range tree.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if ok && fn.Recv == nil && fn.Name.Name == "init" && !test {
				t.Errorf("%s has an init function: it would run inside process 1 too", file)
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch {
			case x.Name == "time" && sel.Sel.Name == "Sleep":
				t.Errorf("%s sleeps: wait for the event instead", file)
			case x.Name == "os" && sel.Sel.Name == "Exit" && !test && path.Base(file) != "main.go":
				t.Errorf("%s calls os.Exit: only main does", file)
			}
			return true
		})
	})
}
