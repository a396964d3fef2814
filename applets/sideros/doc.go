// Package sideros is the program of sideros-start: as process 1, or told init, it is the
// keeper, with what /etc/sideros/start.toml says; otherwise its command line.
//
// It turns that file into flags before the keeper begins, so that the keeper goes on
// knowing no configuration. A file that is missing or bad keeps no machine from
// starting. It refuses to know what the flags do.
package sideros
