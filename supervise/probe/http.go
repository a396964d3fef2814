package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// maxAnswer bounds the head of an answer: what is checked is not trusted with our
// memory.
const maxAnswer = 64 << 10

// maxInterim is how many answers of the kind "it goes on" may come before the answer.
const maxInterim = 16

// askHTTP sends one GET for a URL and returns the status of the answer, of which it
// reads no more than the head: a page may have no end, or wait for events. Redirects
// are answers like others. Everything ends with ctx, which has a deadline.
//
// All of net/http in its place would make the binary a tenth larger, for HTTP/2,
// proxies, cookies and kept connections that a check must not use.
func askHTTP(ctx context.Context, target string) (status int, err error) {
	u, err := url.Parse(target)
	if err != nil {
		return 0, err
	}
	conn, err := connectTo(ctx, u)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	var auth string
	if u.User != nil {
		auth = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(userOf(u))) + "\r\n"
	}
	// Each check asks anew: a kept connection may outlive the listener whose health
	// is in question.
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: zinit-health\r\nAccept: */*\r\n%sConnection: close\r\n\r\n",
		u.RequestURI(), u.Host, auth)
	if err != nil {
		return 0, err
	}
	return readStatus(conn)
}

func userOf(u *url.URL) string {
	password, _ := u.User.Password()
	return u.User.Username() + ":" + password
}

// connectTo connects to the host of a URL, with TLS where it says so.
func connectTo(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if at, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(at); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if u.Scheme != "https" {
		return conn, nil
	}
	// A check asks whether the service answers, not who vouches for it: services on
	// loopback have certificates for other names.
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		var record tls.RecordHeaderError
		if errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/" {
			err = errors.New("it speaks HTTP, not HTTPS")
		}
		return nil, err
	}
	return secure, nil
}

// readStatus reads the head of an answer, see RFC 9112 section 4.
func readStatus(conn io.Reader) (int, error) {
	in := textproto.NewReader(bufio.NewReader(io.LimitReader(conn, maxAnswer)))
	for range maxInterim {
		line, err := in.ReadLine()
		if err != nil {
			return 0, noAnswer(err)
		}
		version, rest, _ := strings.Cut(line, " ")
		word, _, _ := strings.Cut(rest, " ")
		status, err := strconv.Atoi(word)
		if !strings.HasPrefix(version, "HTTP/1.") || err != nil || len(word) != 3 || status < 100 {
			return 0, fmt.Errorf("it does not speak HTTP: %.40q", line)
		}
		if status >= 200 || status == 101 {
			return status, nil
		}
		if _, err := in.ReadMIMEHeader(); err != nil {
			return 0, noAnswer(err)
		}
	}
	return 0, errors.New("it has no answer, only more and more announcements of one")
}

func noAnswer(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it closed the connection without an answer")
	}
	return err
}
