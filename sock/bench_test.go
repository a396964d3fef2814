package sock

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
)

// sample is a table like the server's, over made-up services.
func sample(services int) Table {
	list := make([]ServiceInfo, services)
	byName := make(map[string]*ServiceInfo, services)
	for i := range list {
		list[i] = ServiceInfo{Name: fmt.Sprintf("service-%03d", i), State: ServiceState{State: Running, PID: 1000 + i}}
		byName[list[i].Name] = &list[i]
	}
	encoded := EncodeList(list)
	name := []Param{{Name: "name", Type: "string", Required: true}}
	return Table{
		{Name: MethodPing, Access: Read, Handle: func(context.Context, *Call) (any, error) {
			return Ping{PID: 1, Version: "0.4.0"}, nil
		}},
		{Name: MethodListFull, Access: Read, Handle: func(context.Context, *Call) (any, error) { return encoded, nil }},
		{Name: MethodStatus, Access: Read, Params: name, Handle: func(_ context.Context, call *Call) (any, error) {
			n, err := call.Name()
			if err != nil {
				return nil, err
			}
			info := byName[n]
			if info == nil {
				return nil, NoService()
			}
			return NewStatus(n, info.State), nil
		}},
		{Name: MethodStart, Access: Change, Params: name, Handle: func(_ context.Context, call *Call) (any, error) {
			if _, err := call.Name(); err != nil {
				return nil, err
			}
			return Done, nil
		}},
	}
}

// rounds sends a request and reads its reply, b.N times.
func rounds(b *testing.B, path string, request []byte) {
	c, err := net.Dial("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	reply := make([]byte, 64<<10)
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		for n := 0; n == 0 || reply[n-1] != '\n'; {
			m, err := c.Read(reply[n:])
			if err != nil {
				b.Fatal(err)
			}
			n += m
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func benchServer(b *testing.B) string {
	path := filepath.Join(b.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		b.Fatal(err)
	}
	s := NewServer(sample(100), Options{})
	go s.Serve(l)
	b.Cleanup(func() { s.Shutdown(b.Context()) })
	return path
}

// BenchmarkEcho is the floor: the same bytes there and back, without a server.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{86, 7000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "s")
			l, err := net.Listen("unix", path)
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			reply := append(bytes.Repeat([]byte{'x'}, size-1), '\n')
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(reply); err != nil {
						return
					}
				}
			}()
			rounds(b, path, []byte(`{"jsonrpc":"2.0","method":"service.status","params":{"name":"service-042"},"id":1}`+"\n"))
		})
	}
}

func BenchmarkStatus(b *testing.B) {
	rounds(b, benchServer(b), []byte(`{"jsonrpc":"2.0","method":"service.status","params":{"name":"service-042"},"id":1}`+"\n"))
}

func BenchmarkListFull100(b *testing.B) {
	rounds(b, benchServer(b), []byte(`{"jsonrpc":"2.0","method":"service.list_full","params":null,"id":1}`+"\n"))
}

// BenchmarkPipelined sends in bursts: what is left without the round trips.
func BenchmarkPipelined(b *testing.B) {
	const burst = 100
	request := bytes.Repeat([]byte(`{"jsonrpc":"2.0","method":"service.status","params":{"name":"service-042"},"id":1}`+"\n"), burst)
	c, err := net.Dial("unix", benchServer(b))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	one := len(`{"jsonrpc":"2.0","id":1,"result":{"name":"service-042","pid":1042,"state":"running"}}` + "\n")
	reply := make([]byte, burst*one)
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, reply); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(burst*b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkClientListFull1000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		b.Fatal(err)
	}
	s := NewServer(sample(1000), Options{})
	go s.Serve(l)
	defer s.Shutdown(b.Context())
	c, err := Dial(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		list, err := c.ListFull(b.Context())
		if err != nil || len(list) != 1000 {
			b.Fatal(err)
		}
	}
}
