// Package legacy is the line protocol of zinit 0.2: one command on a line, one answer,
// and the connection is closed.
//
//	list                     {"state":"ok","body":{"redis":"Running"}}
//	stop nosuch              {"state":"error","body":"service name \"nosuch\" unknown"}
//	log                      [+] redis: ready to accept connections
//
// It owns the words: commands, replies, the names of states and the texts of errors,
// which clients compare. It knows no supervisor: who serves supplies a Backend. What a
// client sends is never trusted; a line that cannot be understood gets one of the fixed
// errors.
package legacy
