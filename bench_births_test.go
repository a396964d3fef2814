package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// births is what the surroundings of a process cost: the time of a restart, as in the
// row of that name, of a service with nothing but a command, of one that runs as
// another user with groups of its own, and of one that needs the step in between. All
// of them have a session, and a cgroup where there are any.
func (r *benchRig) births() ([]benchRow, error) {
	// Another user must come to its program.
	if err := os.Chmod(r.dir, 0o755); err != nil {
		return nil, err
	}
	const immortal = "\n[lifecycle]\nrestart = \"always\"\nrestart_delay_ms = 0\nrestart_delay_max_ms = 1\nmax_restarts = 0\n"
	user := "user = \"nobody\"\nsupplementary_groups = [1, 2]\n"
	if os.Geteuid() != 0 {
		user = ""
	}
	var services []benchService
	var lives []*benchMortal
	for i, keys := range []string{"", user, "umask = \"0022\"\noom_score_adj = 100\n[rlimits]\ncore = 0\n"} {
		path := filepath.Join(r.dir, fmt.Sprintf("birth%d", i))
		fifo, err := newBenchFifo(path)
		if err == nil {
			err = os.Chmod(path, 0o666)
		}
		if err != nil {
			return nil, err
		}
		lives = append(lives, &benchMortal{fifo: fifo})
		services = append(services, benchService{exec: "{}/idle " + path, keys: keys, more: immortal})
	}
	s, err := r.start(benchOurs, services)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	for _, m := range lives {
		if m.pid, _, err = m.fifo.next(); err != nil {
			return nil, err
		}
	}
	took := make([][]float64, len(lives))
	for range 200 {
		for i, m := range lives {
			killed := benchNow()
			if err := syscall.Kill(m.pid, syscall.SIGKILL); err != nil {
				return nil, err
			}
			pid, born, err := m.fifo.next()
			if err != nil {
				return nil, fmt.Errorf("it did not come back: %w", err)
			}
			m.pid = pid
			took[i] = append(took[i], benchMs(born-killed))
		}
	}
	bare, dressed, prepared := benchMedian(took[0]), benchMedian(took[1]), benchMedian(took[2])
	rows := []benchRow{{name: "restart with the step in between, more", unit: "ms", values: [benchSides]float64{benchOurs: prepared - bare}, goal: 2.5}}
	if user != "" {
		rows = append([]benchRow{{name: "restart as a user with groups, p50", unit: "ms",
			values: [benchSides]float64{benchOurs: dressed, benchFloor: bare}, against: benchFloor, goal: 1.1}}, rows...)
	}
	return rows, nil
}
