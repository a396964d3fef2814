package proxy

import (
	"io"
	"syscall"
	"testing"
	"time"
)

// BenchmarkBulk is bytes one way through a relay, in pieces of a megabyte.
func BenchmarkBulk(b *testing.B) {
	for _, pair := range [][2]string{{"tcp", "tcp"}, {"tcp", "unix"}, {"unix", "tcp"}, {"unix", "unix"}} {
		b.Run(pair[0]+" to "+pair[1], func(b *testing.B) {
			br := benchBridge(b, pair[0], pair[1])
			piece := make([]byte, 1<<20)
			b.SetBytes(int64(len(piece)))
			done := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, struct{ io.Reader }{br.backend})
				done <- err
			}()
			before := cpu()
			b.ResetTimer()
			for range b.N {
				if _, err := br.client.Write(piece); err != nil {
					b.Fatal(err)
				}
			}
			br.client.CloseWrite()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric((cpu()-before).Seconds()/float64(b.N)/1e-3, "ms-cpu/MB")
			br.backend.Close()
			<-br.over
		})
	}
}

// BenchmarkPing is a round trip of 64 bytes.
func BenchmarkPing(b *testing.B) {
	for _, network := range []string{"tcp", "unix"} {
		b.Run(network, func(b *testing.B) {
			br := benchBridge(b, network, network)
			go io.Copy(struct{ io.Writer }{br.backend}, struct{ io.Reader }{br.backend})
			buf := make([]byte, 64)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				br.client.Write(buf)
				if _, err := io.ReadFull(br.client, buf); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			br.client.Close()
			br.backend.Close()
			<-br.over
		})
	}
}

func benchBridge(b *testing.B, front, back string) *bridge {
	br := newBridge(b, front, back)
	br.client.SetDeadline(time.Time{})
	br.backend.SetDeadline(time.Time{})
	return br
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
