package env

import (
	"fmt"
	"slices"
	"strings"
)

// A Flag is one row of an applet's table of flags.
type Flag struct {
	Names []string // with dashes, the longest first
	Value string   // what the help calls the value; empty for a switch
	Help  string
	Set   func(value string) error
}

// TakeFlag understands the first of args, which is not empty, and says how many words
// that used. "--flag=value" and "--flag value" are the same. After an error the rest can
// still be understood: process 1 of a machine has to make the best of what the kernel
// passes on.
func TakeFlag(table []Flag, args []string) (used int, err error) {
	name, value, glued := strings.Cut(args[0], "=")
	if !strings.HasPrefix(name, "-") || name == "-" {
		return 1, fmt.Errorf("unexpected argument %q", args[0])
	}
	i := slices.IndexFunc(table, func(row Flag) bool { return slices.Contains(row.Names, name) })
	if i < 0 {
		return 1, fmt.Errorf("unknown flag %s", name)
	}
	row := table[i]
	used = 1
	switch {
	case row.Value == "" && glued:
		return used, fmt.Errorf("%s takes no value", name)
	case row.Value != "" && !glued && len(args) == 1:
		return used, fmt.Errorf("%s needs a value: %s %s", name, name, row.Value)
	case row.Value != "" && !glued:
		value = args[1]
		used = 2
	}
	if row.Value != "" && value == "" {
		return used, fmt.Errorf("%s needs a value that is not empty", name)
	}
	if err := row.Set(value); err != nil {
		return used, fmt.Errorf("%s: %w", name, err)
	}
	return used, nil
}

// FlagHelp is a line for each flag; width is that of the widest with its value.
func FlagHelp(table []Flag, width int) string {
	var b strings.Builder
	for _, row := range table {
		long, short := row.Names[0], ""
		for _, n := range row.Names[1:] {
			if len(n) == 2 {
				short = n + ", "
			}
		}
		if row.Value != "" {
			long += " " + row.Value
		}
		fmt.Fprintf(&b, "  %4s%-*s  %s\n", short, width, long, row.Help)
	}
	return b.String()
}
