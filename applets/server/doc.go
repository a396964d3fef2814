// Package server is the applet that decides: it reads the configuration, runs the
// supervisor and answers on the socket. It is wiring: what it wires is in
// supervise (the loop), sock (the wire), config (the files) and reap (the keeper).
//
// The keeper starts it, with the two ends of its channel at descriptors 3 and 4.
// It can die at any moment: the keeper goes on holding the services, the listening
// socket and the output pipes, and the next server takes over.
//
// Start, end and what outlives it:
//
//	main.go      start and end; launch.go: what the supervisor's parts are made of
//	runtime.go   the runtime directory and the socket; restore.go: what was deleted
//	memory.go    the state for the next server; compiled.go: the files as understood
//	adopt.go     outputs of an earlier server, leftovers.go what another keeper's left
//	reload.go    reading the configuration, and the method that does it again
//	notify.go    a manager above; power.go, emergency.go, rescue.go: process 1;
//	             contain.go: the program that a container is for
//	messages.go  /dev/log; report.go: the server's own log
//	sockets*.go, demand.go  sockets that services are given
//	xinet*.go, helpers.go   proxies, and their process
//
// What it answers:
//
//	methods.go   the table of RPC methods, and errors on the wire
//	questions.go services, stats.go and usage.go what they are made of and use,
//	             debug.go drawings, output.go what they wrote
//	changes.go   starting and stopping; configure.go, remove.go: adding, replacing, deleting
//	streams.go, follow.go  what goes on telling
//	render.go, status.go, text.go  views of the supervisor in the words of zinit 0.3.9
//	left.go      processes that nobody has been started for
//	legacy*.go   the line protocol, the methods and the log of zinit 0.2
package server
