// Package config turns files that describe services into [Service] values.
//
// It owns the dialects: their keys, defaults, spellings and limits, the word
// rules of command lines, and the names of signals. Nothing downstream knows
// which dialect a service was written in.
//
// What it promises:
//   - A [Service] in hand is valid. What is not allowed was refused when it was
//     loaded, and is never looked at again.
//   - One file gives one Service or at least one [Problem] of severity [Error],
//     never both and never neither. Problems have file, line and key, and say
//     what to do; all of a file are collected.
//   - No file harms another one, and no file harms the program: size, depth and
//     number of values are bounded before the decoder sees a byte, named pipes
//     and devices are not read, and a panic of the decoder becomes a Problem.
//   - Equal text gives equal results, whatever the environment of the process.
//     The one exception is said at [SplitCommand].
//   - What is written is read back before: [Save] leaves a file that gives the same
//     Service, or the file that was there.
//   - Root runs nothing that others could have written (trust.go).
//
// What it refuses to know: other services (whether a dependency exists), states,
// processes, the wire.
//
// The way of a zinit TOML file:
//
//	text -> guard (guard.go, scalar.go): lexes, bounds, mends, takes the strings out
//	     -> github.com/naoina/toml: structure, duplicates
//	     -> keys.go, keys_tables.go: one row per key, each with its setter
//	     -> check.go, combine.go: what must be there, what must agree
//
// Files of sideros-start are TOML, too: sideros.go moves their keys to where ours are.
// Files of zinit 0.2 (legacy.go) and units of systemd (unit.go) are other ways in;
// convert.go is the way to TOML.
//
// JSON comes in through the same keys.go (json.go). On the way out the same rows
// give JSON and files (render.go), and edit.go changes the values of a file in its
// text, at the places that the guard noted.
package config
