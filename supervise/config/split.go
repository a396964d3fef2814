package config

import (
	"errors"
	"slices"
)

// Shell is the program that runs the lines which need a shell.
const Shell = "/bin/sh"

// SplitCommand makes a [Command] of a line. A line without shell syntax is split
// into words by the rules of the POSIX shell (quotes ' and ", backslash,
// comments, line continuation) and is executed directly. Any other line goes
// through [Shell], with an exec in front of its last command where that changes
// nothing but the pid: then the process is the command's own and not a shell's.
//
// The exec is added to a simple command (redirections, variables, patterns and
// assignments included) and to the last of several joined by &&, ||, ; or line
// breaks. Lines with pipes, &, parentheses or compound commands, lines that set a
// trap or evaluate text, and lines that end in a builtin are left as written.
//
// Whether a word such as echo or test is a program or must be a builtin depends
// on the programs of the machine: SplitCommand looks along [DefaultPath].
//
// The error reads on from what the line is of ("service.exec " + error).
func SplitCommand(line string) (Command, error) {
	return SplitCommandWith(line, func(name string) bool {
		_, err := LookPath(name, nil, "")
		return err == nil
	})
}

// SplitCommandWith is [SplitCommand] with found telling whether a program of that
// name exists; it depends on nothing else.
func SplitCommandWith(line string, found func(name string) bool) (Command, error) {
	x := &shellLexer{line: line}
	if err := x.lex(); err != nil {
		return Command{}, err
	}
	if len(x.tokens) == 0 {
		return Command{}, errors.New("holds no command: write the program and its arguments")
	}
	if first := x.tokens[0]; x.why == "" && first.text == "" {
		return Command{}, errors.New("begins with an empty word: write the program there")
	}
	why := x.why
	if why == "" {
		why = firstWordNeedsShell(x.tokens[0], found)
	}
	if why != "" {
		return Command{Argv: []string{Shell, "-c", withExec(x)}, Shell: true, ShellWhy: why}, nil
	}
	argv := make([]string, len(x.tokens))
	for i, t := range x.tokens {
		argv[i] = t.text
	}
	return Command{Argv: argv}, nil
}

// firstWordNeedsShell says why a line of plain words needs a shell because of
// its first one, or "".
func firstWordNeedsShell(first token, found func(string) bool) string {
	switch {
	case first.assign:
		return "the assignment " + first.text
	case !first.quoted && slices.Contains(reservedWords[:], first.text):
		return "the shell word " + first.text
	case slices.Contains(specialBuiltins[:], first.text):
		return "the builtin " + first.text
	case slices.Contains(otherBuiltins[:], first.text) && !found(first.text):
		return "the builtin " + first.text
	}
	return ""
}

var (
	// reservedWords begin or end compound commands.
	reservedWords = [...]string{
		"if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for",
		"{", "}", "!", "in",
	}
	// specialBuiltins are never programs: POSIX has the shell look for them first.
	specialBuiltins = [...]string{
		".", ":", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return",
		"set", "shift", "source", "times", "trap", "unset",
	}
	// otherBuiltins may be programs too. The shells differ in which they have.
	otherBuiltins = [...]string{
		"[", "alias", "bg", "builtin", "cd", "chdir", "command", "declare", "echo", "false", "fc",
		"fg", "getopts", "hash", "jobs", "kill", "let", "local", "popd", "printf", "pushd", "pwd",
		"read", "shopt", "test", "time", "true", "type", "typeset", "ulimit", "umask", "unalias", "wait",
	}
	// hidesMore names the commands after which the rest of a line may not mean
	// what it says: a trap would be lost by an exec, an alias or function is no
	// program.
	hidesMore = [...]string{".", "source", "eval", "trap", "alias", "command", "builtin"}
)

// withExec returns the line with exec before its last command, if that is a
// program and all of the line is understood; otherwise the line as it is.
func withExec(x *shellLexer) string {
	if x.uncertain {
		return x.line
	}
	var segments [][]token
	from := 0
	for i, t := range x.tokens {
		switch {
		case t.kind == newlineToken, t.kind == operatorToken && (t.text == ";" || t.text == "&&" || t.text == "||"):
			segments = append(segments, x.tokens[from:i])
			from = i + 1
			if from == len(x.tokens) && t.text != ";" {
				return x.line // a && without an end: the shell shall complain
			}
		case t.kind == operatorToken && t.text[0] != '<' && t.text[0] != '>':
			return x.line
		}
	}
	if from < len(x.tokens) {
		segments = append(segments, x.tokens[from:])
	}
	last := len(segments) - 1
	for i, segment := range segments {
		word, ok := commandWord(segment)
		switch {
		case !ok && i == last:
			return x.line
		case !ok:
			continue // only assignments or redirections
		case !word.quoted && slices.Contains(reservedWords[:], word.text):
			return x.line
		case i < last && (word.dynamic || slices.Contains(hidesMore[:], word.text)):
			return x.line
		case i == last && (word.text == "" && !word.dynamic || word.text != "" && word.text[0] == '-' || isBuiltin(word.text)):
			return x.line
		case i == last:
			return x.line[:word.start] + "exec " + x.line[word.start:]
		}
	}
	return x.line
}

func isBuiltin(word string) bool {
	return slices.Contains(specialBuiltins[:], word) || slices.Contains(otherBuiltins[:], word)
}

// commandWord is the word of a simple command that names the program: the first
// one that is neither an assignment nor the operand of a redirection.
func commandWord(segment []token) (token, bool) {
	for i := 0; i < len(segment); i++ {
		switch t := segment[i]; {
		case t.kind == operatorToken:
			i++ // the operand
		case !t.assign:
			return t, true
		}
	}
	return token{}, false
}
