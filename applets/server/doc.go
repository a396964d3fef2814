// Package server is the applet that decides: it reads the configuration, runs the
// supervisor and answers on the socket. It is wiring: what it wires is in
// supervise (the loop), sock (the wire), config (the files) and reap (the keeper).
//
// The keeper starts it, with the two ends of its channel at descriptors 3 and 4.
// It can die at any moment: the keeper goes on holding the services, the listening
// socket and the output pipes, and the next server takes over.
//
//	main.go      start and end
//	runtime.go   the runtime directory and the socket
//	methods.go   the table of RPC methods, and errors on the wire
//	questions.go the methods that look at services
//	changes.go   the methods that start, stop and signal them
//	configure.go the methods that add and replace them
//	remove.go    the methods that delete them
//	reload.go    reading the configuration, and the method that does it again
//	stats.go     the methods that look into them: configuration, processes
//	debug.go     debug.state and debug.process_tree, drawn
//	output.go    the methods that show what they wrote
//	streams.go   the methods that go on telling
//	render.go    views of the supervisor in the words of zinit 0.3.9
//	text.go      tree and why, drawn
//	legacy*.go   the line protocol, the methods and the log of zinit 0.2
//	prober.go    tcp and http health checks
//	logger.go    the server's own log
package server
