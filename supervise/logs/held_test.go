package logs

import (
	"testing"

	"zinit/supervise/logs/pump"
)

// TestKeeperKnowsWhatALogFileNeeds: it reads the record of a sink without knowing
// sinks.
func TestKeeperKnowsWhatALogFileNeeds(t *testing.T) {
	at := func(off int64, text string) begun { return begun{off: off, text: []byte(text)} }
	records := []record{
		{cursor: 0, pending: [pump.Streams]begun{at(0, ""), at(0, ""), at(0, "")}},
		{cursor: 1 << 40, skip: 5, file: fileInfo{size: 77, dev: 3, ino: 9}, pending: [pump.Streams]begun{at(1<<40-3, "abc"), at(1<<40, ""), at(1<<40, "")}},
		{cursor: 5000, pending: [pump.Streams]begun{at(5000, ""), {off: 17}, at(4999, "")}},
	}
	for i := range records {
		rec := &records[i]
		b := rec.encode()
		if held, ok := pump.HeldBy(append(b, "rest of a longer one"...)); !ok || held != rec.held() {
			t.Errorf("%+v: %d, %v, want %d", rec, held, ok, rec.held())
		}
		for n := range b {
			if _, ok := pump.HeldBy(b[:n]); ok {
				t.Errorf("%+v: it is understood when cut to %d bytes", rec, n)
			}
		}
	}
}
