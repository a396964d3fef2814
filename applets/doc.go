// Package applets chooses which of the programs in this one binary runs: by the
// name it was called by, and for some by the first word after it.
//
// It owns the list of applets, from which the dispatch, the overview and the links
// of --install all come. It promises that process 1 of a machine is always
// the keeper, whatever the name and the words. It refuses to know what an applet
// does.
package applets
