package reap

// A Notice is what the keeper tells the program that it runs in.
type Notice interface{ isNotice() }

type (
	// ServerReady says that the server has taken over.
	ServerReady struct{ Pid int }

	// ServerExited says that the server was reaped and everything that it had sent
	// was read. StartServer may be called again.
	ServerExited struct {
		Pid      int
		Status   Status
		WasReady bool // ServerReady came before
		Draining bool // Draining came before
	}

	// Draining says that the server has begun a shutdown, after which this process is
	// to exit with Code, if it exits; the stage is StageDrain.
	Draining struct{ Code uint8 }

	// ReexecWanted says that the server wants this process to become the program that
	// is at its path now. It is not repeated before Keeper.RefuseReexec or a Replace.
	ReexecWanted struct{}
)

func (ServerReady) isNotice()  {}
func (ServerExited) isNotice() {}
func (Draining) isNotice()     {}
func (ReexecWanted) isNotice() {}

// Notices is where they arrive, in order. The keeper does not wait for the
// reader: there are at most four for each StartServer, and room for many.
func (k *Keeper) Notices() <-chan Notice { return k.notices }

func (k *Keeper) notice(n Notice) {
	select {
	case k.notices <- n:
	default:
		k.log("a notice was dropped: nobody reads them: %T", n)
	}
}
