// Package words splits lines into words as zinit 0.2 did, and puts words together
// again.
//
// It owns one rule, that of the shell without the shell: quotes ' and ", backslash,
// comments, line continuation. A variable, a pipe or a star is text like any other.
// It knows no commands, no files and no services.
package words
