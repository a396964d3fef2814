// Package state is a small store of keyed records that a kill at any instruction
// leaves readable: what the supervisor must still know when another server takes
// over.
//
// A store is one file in the runtime directory, or a memory file where there is no
// directory. Records are only ever appended, each with its length, a number and a
// checksum; the last one of a key counts. When the dead records outweigh the living
// the file is written anew beside and renamed, so that there is no moment without a
// complete one. Nothing is synced: the store outlives processes, not a power cut,
// after which there is nothing to remember.
//
// It promises that whatever is in the file, opening it succeeds: what can not be
// read is counted and left out, and the records after it are found again. It
// refuses to know what the values mean.
package state
