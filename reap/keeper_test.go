package reap

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

func many(long int) int {
	if os.Getenv("ZINIT_TEST_SHORT") != "" {
		return long / 4
	}
	return long
}

var statuses = scenario{server: func(_ int, s *serverPlay) error {
	n := many(20000)
	for i := range n {
		if i%(n/20) == 0 {
			s.Spawn(spec("crowd"+strconv.Itoa(i), 1, "crowd", strconv.Itoa(n/20)))
		}
		s.Spawn(spec("s"+strconv.Itoa(i), 1, string([]byte{byte(1 + i%100)})))
	}
	left := n + 20
	for left > 0 {
		e, err := s.event()
		if err != nil {
			return fmt.Errorf("%w: %d left", err, left)
		}
		switch e := e.(type) {
		case SpawnFailed:
			return fmt.Errorf("%#v", e)
		case Exited:
			left--
			s.Ack(e.Key, e.Run)
			if e.Key[0] == 'c' {
				continue
			}
			i, _ := strconv.Atoi(e.Key[1:])
			if e.Status != ExitCode(1+i%100) {
				return fmt.Errorf("%s ended with %v", e.Key, e.Status)
			}
		}
	}
	return nil
}, keeper: func(k *keeperPlay) error {
	if err := k.serve(); err != nil {
		return err
	}
	if err := k.ended(); err != nil {
		return err
	}
	want := uint64(many(20000))
	return k.until("all orphans reaped", func() bool {
		count, _ := k.Orphans()
		return count >= want
	})
}}

func TestEveryStatusReachesItsOwnerBesideOrphans(t *testing.T) { play(t, "statuses") }
