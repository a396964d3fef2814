// Package xinet is the program that carries the connections of proxies: by hand for
// one proxy (Main), or for all of a server, beside it, so that what happens to the
// server never touches a connection (Managed). It is wiring: the proxies are package
// proxy's, and services are started by asking the server over its socket.
//
//	flags.go    the command line of one proxy
//	main.go     its life
//	control.go  how services are activated and released
//	managed.go  the process beside a server
//	files.go    as many descriptors as it can get
package xinet
