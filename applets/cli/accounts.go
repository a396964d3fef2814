package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"zinit/supervise/config"
)

// Where the users and groups of this machine are.
const passwdFile, groupFile = "/etc/passwd", "/etc/group"

// maxAccounts is how much of one of these files is looked at, in bytes.
const maxAccounts = 16 << 20

// accounts warns of users and groups that this machine does not have. They are
// looked up when a service starts, perhaps on another machine: nothing is wrong
// with the file. Where the machine's cannot be read nothing is said.
func accounts(services []*config.Service, passwd, group string) []config.Problem {
	var problems []config.Problem
	var users, groups map[string]bool // read when the first service names one
	look := func(svc *config.Service, key, name, file string, known *map[string]bool) {
		if strings.Trim(name, "0123456789") == "" {
			return // a number needs no entry
		}
		if *known == nil {
			*known = accountNames(file)
		}
		if len(*known) > 0 && !(*known)[name] {
			problems = append(problems, config.Problem{
				File: svc.Source, Line: lineOf(svc.Source, key, name), Key: "service." + key, Service: svc.Name, Severity: config.Warning,
				Message: fmt.Sprintf("%s is not in %s of this machine: add it before the service starts", name, file),
			})
		}
	}
	for _, svc := range services {
		look(svc, "user", svc.Identity.User, passwd, &users)
		look(svc, "group", svc.Identity.Group, group, &groups)
		for _, name := range svc.Identity.Groups {
			look(svc, "supplementary_groups", name, group, &groups)
		}
	}
	return problems
}

// accountNames is what stands before the first colon of each line; it is empty, and
// not nil, when the file cannot be read.
func accountNames(file string) map[string]bool {
	names := map[string]bool{}
	f, err := os.Open(file)
	if err != nil {
		return names
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxAccounts))
	lines.Buffer(nil, maxAccounts) // a group may have many members
	for lines.Scan() {
		if name, _, ok := strings.Cut(lines.Text(), ":"); ok {
			names[name] = true
		}
	}
	if lines.Err() != nil {
		return map[string]bool{} // half of the names would accuse the others
	}
	return names
}
