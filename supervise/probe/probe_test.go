package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/supervise/config"
)

// patience bounds every wait of the tests; nothing takes that long.
const patience = 60 * time.Second

// leavesNothing checks at the end of the test that no goroutine and no
// descriptor is left of those made from now on.
func leavesNothing(t *testing.T) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	t.Cleanup(func() {
		late := time.After(patience)
		for {
			g, f := runtime.NumGoroutine(), openFiles(t)
			if g <= goroutines && f <= files {
				return
			}
			select {
			case <-time.After(time.Millisecond):
			case <-late:
				t.Fatalf("the checks leave %d goroutines of %d and %d files of %d", g, goroutines, f, files)
			}
		}
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// probe carries out one check.
func probe(t *testing.T, p Prober, h *config.Health) error {
	t.Helper()
	result := make(chan error, 2)
	p.Check(h, func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-time.After(patience):
		t.Fatal("the check does not answer")
	}
	return nil
}

func isAnswer(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want != "":
		t.Errorf("it passed, want %q", want)
	case err != nil && (want == "" || !strings.Contains(err.Error(), want)):
		t.Errorf("it failed: %q, want %q", err, want)
	}
}

// sink listens and never accepts. With full its queue is full too, so that a
// connection is not even made.
func sink(t *testing.T, full bool) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for made := false; full; {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		cancel()
		if err == nil {
			made = true
			t.Cleanup(func() { c.Close() })
		} else if made { // otherwise it is this machine that takes so long
			break
		}
	}
	return addr
}

// refusing is an address at which nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

const soon = 100 * time.Millisecond // the timeout of checks that run into it

func TestTCPChecks(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	full, nobody := sink(t, true), refusing(t)
	for _, c := range []struct {
		name, target string
		timeout      time.Duration
		want         string
	}{
		{"somebody listens", l.Addr().String(), patience, ""},
		{"nobody listens", nobody, patience, nobody + ": connect: connection refused"},
		{"the queue is full", full, soon, full + " did not answer within 100ms"},
		{"no such name", "host.invalid:80", patience, "host.invalid"},
		{"no address", "nothing", patience, "missing port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			leavesNothing(t)
			isAnswer(t, probe(t, Prober{}, &config.Health{Kind: config.ProbeTCP, Target: c.target, Timeout: c.timeout}), c.want)
		})
	}
}

// habits is a service with a page for each way to answer.
func habits(gone <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		if got := r.Method + " " + r.UserAgent(); got != "GET zinit-health" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	mux.HandleFunc("/sick", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for page := make([]byte, 4096); ; {
			if _, err := w.Write(page); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/stalls", func(w http.ResponseWriter, r *http.Request) {
		if _, err := w.Write([]byte("begun")); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-gone:
		}
	})
	mux.HandleFunc("/headers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
	})
	mux.HandleFunc("/breaks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		if _, err := w.Write([]byte("5byte")); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	return mux
}

func TestHTTPChecks(t *testing.T) {
	gone := make(chan struct{})
	plain := httptest.NewServer(habits(gone))
	secure := httptest.NewUnstartedServer(habits(gone))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(func() { close(gone); plain.Close(); secure.Close() })
	silent, full, nobody := sink(t, false), sink(t, true), refusing(t)
	for _, c := range []struct {
		name, target string
		status       int
		timeout      time.Duration
		want         string
	}{
		{"it answers", plain.URL + "/ok", 200, patience, ""},
		{"with the status that is expected", plain.URL + "/sick", 503, patience, ""},
		{"with another status", plain.URL + "/sick", 200, patience, plain.URL + "/sick answered 503, expected 200"},
		{"there is no such page", plain.URL + "/nothing", 200, patience, "answered 404, expected 200"},
		{"a redirect is its own answer", plain.URL + "/moved", 200, patience, "answered 302, expected 200"},
		{"and may be the one expected", plain.URL + "/moved", 302, patience, ""},
		{"the body has no end", plain.URL + "/endless", 200, patience, ""},
		{"the body comes bit by bit", plain.URL + "/stalls", 200, patience, ""},
		{"the same with another status", plain.URL + "/stalls", 204, patience, "/stalls answered 200, expected 204"},
		{"the body breaks off", plain.URL + "/breaks", 200, patience, ""},
		{"the headers are without measure", plain.URL + "/headers", 200, patience, ""},
		{"https with a certificate of its own", secure.URL + "/ok", 200, patience, ""},
		{"https with another status", secure.URL + "/sick", 200, patience, "answered 503, expected 200"},
		{"http where https is spoken", strings.Replace(secure.URL, "https", "http", 1) + "/ok", 200, patience, "answered 400, expected 200"},
		{"https where http is spoken", strings.Replace(plain.URL, "http", "https", 1) + "/ok", 200, patience, "it speaks HTTP, not HTTPS"},
		{"nobody listens", "http://" + nobody + "/", 200, patience, nobody + ": connect: connection refused"},
		{"it accepts and never answers", "http://" + silent + "/", 200, soon, "http://" + silent + "/ did not answer within 100ms"},
		{"https: it accepts and never answers", "https://" + silent + "/", 200, soon, "did not answer within 100ms"},
		{"it does not even accept", "http://" + full + "/", 200, soon, "did not answer within 100ms"},
		{"no address", "http://%zz/", 200, patience, "invalid URL escape"},
	} {
		t.Run(c.name, func(t *testing.T) {
			leavesNothing(t)
			h := &config.Health{Kind: config.ProbeHTTP, Target: c.target, ExpectStatus: c.status, Timeout: c.timeout}
			isAnswer(t, probe(t, Prober{}, h), c.want)
		})
	}
}

// TestAFailedHandshakeIsNamed: a service that wants to know who asks is not
// healthy to us, and the cause is said.
func TestAFailedHandshakeIsNamed(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	h := &config.Health{Kind: config.ProbeHTTP, Target: s.URL, ExpectStatus: 404, Timeout: patience}
	isAnswer(t, probe(t, Prober{}, h), "certificate required")
}

func TestHTTPChecksKeepNoConnection(t *testing.T) {
	leavesNothing(t)
	made := make(chan net.Conn, 100)
	s := httptest.NewUnstartedServer(habits(nil))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made <- c
		}
	}
	s.Start()
	defer s.Close()
	p := Prober{}
	for n := 1; n <= 3; n++ {
		isAnswer(t, probe(t, p, &config.Health{Kind: config.ProbeHTTP, Target: s.URL + "/ok", ExpectStatus: 200, Timeout: patience}), "")
		if len(made) != n {
			t.Errorf("%d checks made %d connections", n, len(made))
		}
	}
}

func TestTheStatusOfAnAnswer(t *testing.T) {
	endless := strings.Repeat("x", 2*maxAnswer)
	for _, c := range []struct {
		name, answer string
		want         int
		failure      string
	}{
		{"plain", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
		{"without a reason", "HTTP/1.0 200\r\n\r\n", 200, ""},
		{"with bare line feeds", "HTTP/1.1 404 no\n\n", 404, ""},
		{"after announcements", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 200, ""},
		{"announcements without end", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100), 0, "only more and more"},
		{"an announcement without end", "HTTP/1.1 103 Early Hints\r\nLink: " + endless, 0, "without an answer"},
		{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", 0, "does not speak HTTP"},
		{"a later one", "HTTP/2 200\r\n", 0, "does not speak HTTP"},
		{"no number", "HTTP/1.1 OK\r\n", 0, "does not speak HTTP"},
		{"no status", "HTTP/1.1 0200 OK\r\n", 0, "does not speak HTTP"},
		{"a line without end", endless, 0, "without an answer"},
		{"nothing", "", 0, "without an answer"},
	} {
		status, err := readStatus(strings.NewReader(c.answer))
		if status != c.want || (err == nil) != (c.failure == "") || err != nil && !strings.Contains(err.Error(), c.failure) {
			t.Errorf("%s: %d, %v; want %d, %q", c.name, status, err, c.want, c.failure)
		}
	}
}

func FuzzReadStatus(f *testing.F) {
	f.Add("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		if status, err := readStatus(strings.NewReader(answer)); err == nil && (status < 101 || status > 999) {
			t.Errorf("status %d", status)
		}
	})
}

func TestAUserInTheURLIsSent(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "me" || password != "a b" || r.URL.RequestURI() != "/x?y=%20z" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer s.Close()
	target := strings.Replace(s.URL, "http://", "http://me:a%20b@", 1) + "/x?y=%20z"
	isAnswer(t, probe(t, Prober{}, &config.Health{Kind: config.ProbeHTTP, Target: target, ExpectStatus: 200, Timeout: patience}), "")
}
