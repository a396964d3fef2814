// Package zinit is the Go client of zinit 0.2: the same names, signatures and meaning,
// so that a program written for that compiles when its import path is changed.
//
//	cl := zinit.Default()
//	err := cl.AddService("redis", zinit.InitService{Exec: "redis-server --port 7777"})
//	err = cl.Monitor("redis")
//	err = cl.StartWait(20*time.Second, "redis")
//
// It speaks the line protocol, one connection to a command, and so works with servers
// of zinit 0.2, too. What is different:
//   - Version asks the server, instead of running zinit -V, and its type is one of this
//     package; see [Version].
//   - Waiting is woken by events of the server, instead of looking once a second. A
//     server that has none is looked at once a second.
//   - [Client.WithContext] gives a client whose calls end with a context.
//   - [Client.WithDir] gives one whose service files are elsewhere than in /etc/zinit.
//   - A service file is replaced as one step.
//
// The package zinit/sock has everything else that the server can do.
package zinit
