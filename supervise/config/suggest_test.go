package config

import "testing"

func TestTheNearestWordIsOneThatWasMeant(t *testing.T) {
	words := []string{"log", "list", "as", "start", "restart_delay_ms", "memory_max", "did-well"}
	for word, want := range map[string]string{
		"foo": "", "rss": "", "x": "", "lost_service": "",
		"lgo": "log", "lst": "list", "LIST": "list", "strat": "start", "star": "start", "restart_delay": "restart_delay_ms",
		"memroy_mx": "memory_max", "memory-max": "memory_max", "did_wel": "did-well",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
