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

	// Draining says that the server has begun a shutdown; the stage is StageDrain.
	Draining struct{}
)

func (ServerReady) isNotice()  {}
func (ServerExited) isNotice() {}
func (Draining) isNotice()     {}

// Notices is where they arrive, in order. The keeper does not wait for the
// reader: there are at most three for each StartServer, and room for many.
func (k *Keeper) Notices() <-chan Notice { return k.notices }

func (k *Keeper) notice(n Notice) {
	select {
	case k.notices <- n:
	default:
		k.log("a notice was dropped: nobody reads them: %T", n)
	}
}
