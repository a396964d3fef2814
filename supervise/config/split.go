package config

// SplitCommand splits.
func SplitCommand(line string) (Command, error) { return Command{}, nil }

// LookPath looks.
func LookPath(file string, env []string, dir string) (string, error) { return "", nil }

// ShellMissing says.
func ShellMissing(c Command) string { return "" }
