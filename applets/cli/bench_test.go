package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"zinit/applets/env"
	"zinit/sock"
)

func many(n int) []sock.ServiceInfo {
	list := make([]sock.ServiceInfo, n)
	for i := range list {
		list[i] = sock.ServiceInfo{
			Name:    fmt.Sprintf("service-%d", i),
			State:   sock.ServiceState{State: sock.Running, PID: 1000 + i},
			Details: sock.Details{SinceMs: before(time.Duration(i) * time.Second), Restarts: int64(i % 3), Run: 1},
		}
	}
	return list
}

func BenchmarkPrintList1000(b *testing.B) {
	list := many(1000)
	for b.Loop() {
		s := &session{env: &env.Env{Stdout: io.Discard}, now: time.Now}
		s.printList(list)
		if err := s.flush(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeList1000(b *testing.B) {
	text, err := json.Marshal(many(1000))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var list []sock.ServiceInfo
		if err := json.Unmarshal(text, &list); err != nil {
			b.Fatal(err)
		}
	}
}
