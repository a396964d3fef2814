package cli

import "slices"

// A verb is one row of the command line.
type verb struct {
	name    string
	aliases []string
	args    string // what follows the flags: "NAME..."
	min     int    // number of words
	max     int    // -1: any number
	flags   []flag
	apart   string // long names of flags that do not go together
	summary string // one line, lower case
	help    string // what the flags do not tell; lines of at most 79 columns
	example string // up to three lines
	run     func(*session) int
}

// A flag is one option. Arg is empty for a flag without a value. Flags without a
// text of their own share that of the next one.
type flag struct {
	long, short, arg string
	about            string
}

// hasJSON says whether the verb has something to show as JSON.
func (v *verb) hasJSON() bool {
	return slices.ContainsFunc(v.flags, func(f flag) bool { return f.long == jsonFlag.long })
}

var (
	waitFlag    = flag{"wait", "", "", "return when it has happened"}
	timeoutFlag = flag{"timeout", "", "D", "wait at most that long: 500ms, 10s, 2m"}
)

// table lists the verbs in the order of the help. It is made when it is asked
// for: package-level work would run in every applet, process 1 included.
func table() []verb {
	return slices.Concat(questions(), changes(), []verb{xinetVerb()}, legacyVerbs(), aboutServer())
}
