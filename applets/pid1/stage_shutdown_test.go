package pid1

import (
	"math"
	"syscall"
	"testing"
	"time"

	"zinit/reap"
)

func TestAShutdownIsAskedFor(t *testing.T) {
	live(t, []tale{
		{"an ordered shutdown by TERM", standalone, append(serves[:3:3],
			at{2 * s, asked{term, 10 * s}, drain, does(refuseSpawns{}, tellServer{term})},
			at{2 * s, draining{10 * s, 0}, drain, nil},
			at{9 * s, done, sweep, sweeps},
			at{9 * s, emptied{}, halt, does(finish{exit, 0})})},
		{"an ordered shutdown that a client asked for", standalone, append(serves[:3:3],
			at{2 * s, draining{10 * s, 0}, drain, nil},
			at{9 * s, done, sweep, sweeps},
			at{9 * s, emptied{}, halt, does(finish{exit, 0})})},
		{"the server says with which code to exit", container, append(serves[:3:3],
			at{2 * s, draining{10 * s, 42}, drain, nil},
			at{3 * s, killed(true, true), drain, does(refuseSpawns{}, stopServices{dawn.Add(10 * s)})},
			at{4 * s, emptied{}, sweep, sweeps},
			at{4 * s, emptied{}, halt, does(finish{exit, 42})})},
		{"HUP is handed on", standalone, append(serves[:3:3],
			at{2 * s, asked{syscall.SIGHUP, 0}, serve, does(tellServer{syscall.SIGHUP})})},
		{"but not in a shutdown", standalone, append(serves[:3:3],
			at{2 * s, draining{s, 0}, drain, nil},
			at{2 * s, asked{syscall.SIGHUP, 0}, drain, nil})},
		{"the second INT kills", standalone, append(serves[:3:3],
			at{2 * s, asked{intr, s}, drain, does(refuseSpawns{}, tellServer{intr})},
			at{2 * s, draining{s, 0}, drain, nil},
			at{3 * s, asked{intr, s}, sweep, sweeps},
			at{3 * s, killed(true, true), sweep, nil},
			at{3 * s, asked{intr, s}, sweep, nil},
			at{3 * s, emptied{}, halt, does(finish{exit, 1})})},
		{"a second TERM changes nothing", standalone, append(serves[:3:3],
			at{2 * s, asked{term, s}, drain, does(refuseSpawns{}, tellServer{term})},
			at{3 * s, asked{term, s}, drain, nil})},
		{"TERM powers a machine off", machine, append(serves[:3:3],
			at{2 * s, asked{term, s}, drain, does(refuseSpawns{}, tellServer{term})},
			at{2 * s, draining{s, 0}, drain, nil},
			at{3 * s, done, sweep, asks},
			at{3 * s, emptied{}, halt, does(finish{powerOff, 0})},
			at{4 * s, asked{intr, 0}, halt, does(finish{reboot, 0})})},
		{"INT reboots it, however often it comes", machine, append(serves[:3:3],
			at{2 * s, asked{intr, s}, drain, does(refuseSpawns{}, tellServer{intr})},
			at{2 * s, asked{intr, s}, drain, nil},
			at{2 * s, draining{s, 0}, drain, nil},
			at{3 * s, done, sweep, asks},
			at{3 * s, emptied{}, halt, does(finish{reboot, 0})})},
		{"a client's shutdown powers it off", machine, append(serves[:3:3],
			at{2 * s, draining{s, 0}, drain, nil},
			at{3 * s, done, sweep, asks},
			at{3 * s, emptied{}, halt, does(finish{powerOff, 0})})},
	})
}

func TestAShutdownEndsWhateverTheServerDoes(t *testing.T) {
	live(t, []tale{
		{"a server that does not answer is replaced by the keeper", standalone, append(serves[:3:3],
			at{2 * s, asked{term, 60 * s}, drain, does(refuseSpawns{}, tellServer{term})},
			at{6 * s, ticked{}, drain, nil},
			at{7 * s, ticked{}, drain, does(killServer{}, refuseSpawns{}, stopServices{dawn.Add(69 * s)})},
			at{7 * s, killed(true, false), drain, nil},
			at{8 * s, emptied{}, sweep, sweeps},
			at{8 * s, emptied{}, halt, does(finish{exit, 0})})},
		{"one that answers and hangs is, after the worst time", standalone, append(serves[:3:3],
			at{2 * s, asked{term, 10 * s}, drain, does(refuseSpawns{}, tellServer{term})},
			at{2 * s, draining{10 * s, 0}, drain, nil},
			at{13 * s, ticked{}, drain, nil},
			at{14 * s, ticked{}, drain, does(killServer{}, refuseSpawns{}, stopServices{dawn.Add(19 * s)})})},
		{"one that dies in the shutdown is at once", standalone, append(serves[:3:3],
			at{2 * s, asked{term, 10 * s}, drain, does(refuseSpawns{}, tellServer{term})},
			at{3 * s, killed(true, true), drain, does(refuseSpawns{}, stopServices{dawn.Add(19 * s)})})},
		{"so is one that exits without having begun", standalone, append(serves[:3:3],
			at{2 * s, asked{term, 0}, drain, does(refuseSpawns{}, tellServer{term})},
			at{3 * s, ended{reap.ExitCode(0), true, false}, drain, does(refuseSpawns{}, stopServices{dawn.Add(12 * s)})})},
		{"a shutdown without a server is the keeper's", standalone, append(boots[:2:2],
			at{s, killed(false, false), respawn, nil},
			at{s, asked{term, 10 * s}, drain, does(refuseSpawns{}, stopServices{dawn.Add(18 * s)})},
			at{s, emptied{}, sweep, sweeps},
			at{s, emptied{}, halt, does(finish{exit, 0})})},
		{"the time of a container is limited", container, append(serves[:3:3],
			at{2 * s, asked{term, 60 * s}, drain, does(refuseSpawns{}, tellServer{term})},
			at{4 * s, draining{60 * s, 0}, drain, nil},
			at{8 * s, ticked{}, drain, nil},
			at{9 * s, ticked{}, drain, does(killServer{}, refuseSpawns{}, stopServices{dawn.Add(10 * s)})})},
		{"what cannot be killed does not hold up the end", standalone, append(serves[:3:3],
			at{2 * s, draining{s, 0}, drain, nil},
			at{3 * s, done, sweep, sweeps},
			at{5 * s, ticked{}, sweep, nil},
			at{6 * s, ticked{}, halt, does(finish{exit, 0})})},
	})
}

// A plan may ask for as long as it likes; a Duration holds 292 years.
func TestTheMomentsOfAShutdownDoNotOverflow(t *testing.T) {
	for _, worst := range []time.Duration{math.MinInt64, -1, 0, s, 60 * s, endless, math.MaxInt64 - 1, math.MaxInt64} {
		for _, r := range []role{standalone, container, machine} {
			l := life{role: r, patience: patienceOf(r), running: true}
			l.step(asked{term, worst}, dawn)
			answer, handOver, end := l.answerBy.Sub(dawn), l.handOverBy.Sub(dawn), l.endBy.Sub(dawn)
			if answer <= 0 || handOver < answer || end <= handOver {
				t.Errorf("role %d, worst %v: %v, %v, %v", r, worst, answer, handOver, end)
			}
			if whole := l.patience.whole; whole != 0 && end > whole {
				t.Errorf("worst %v: a container is given %v", worst, end)
			}
			if whole := l.patience.whole; whole == 0 && handOver < min(worst, endless) {
				t.Errorf("worst %v: the server is given %v", worst, handOver)
			}
		}
	}
}
