package address

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, want string
		is         Address
	}{
		{"tcp:127.0.0.1:5432", "", Address{Network: TCP, Host: "127.0.0.1", Port: 5432}},
		{"127.0.0.1:5432", "tcp:127.0.0.1:5432", Address{Network: TCP, Host: "127.0.0.1", Port: 5432}},
		{"localhost:80", "tcp:localhost:80", Address{Network: TCP, Host: "localhost", Port: 80}},
		{"tcp::80", "", Address{Network: TCP, Port: 80}},
		{":80", "tcp::80", Address{Network: TCP, Port: 80}},
		{"*:80", "tcp::80", Address{Network: TCP, Port: 80}},
		{"tcp:[::1]:80", "", Address{Network: TCP, Host: "::1", Port: 80}},
		{"[fe80::1%eth0]:80", "tcp:[fe80::1%eth0]:80", Address{Network: TCP, Host: "fe80::1%eth0", Port: 80}},
		{"udp:0.0.0.0:514", "", Address{Network: UDP, Host: "0.0.0.0", Port: 514}},
		{"/run/a.sock", "unix:/run/a.sock", Address{Network: Unix, Path: "/run/a.sock"}},
		{"unix:/run/a:b.sock", "", Address{Network: Unix, Path: "/run/a:b.sock"}},
		{"@name", "unix:@name", Address{Network: Unix, Path: "@name"}},
		{"unix:/a,group=g,mode=660,user=u", "unix:/a,mode=0660,user=u,group=g", Address{Network: Unix, Path: "/a", Mode: 0o660, User: "u", Group: "g"}},
		{"unixgram:/run/log", "", Address{Network: Unixgram, Path: "/run/log"}},
		{"fifo:/run/in,mode=0600", "", Address{Network: FIFO, Path: "/run/in", Mode: 0o600}},
	} {
		got, err := Parse(c.text)
		if err != nil || got != c.is {
			t.Errorf("%s: %+v, %v", c.text, got, err)
			continue
		}
		want := c.want
		if want == "" {
			want = c.text
		}
		if got.String() != want {
			t.Errorf("%s is written as %s, not %s", c.text, got, want)
		}
	}
}

func TestUnusableAddressesAreRefusedWithTheReason(t *testing.T) {
	for text, why := range map[string]string{
		"":                             "there is no address",
		"5432":                         "it has no port",
		"tcp:localhost":                "it has no port",
		"localhost:0":                  "from 1 to 65535",
		"localhost:65536":              "from 1 to 65535",
		"localhost:+80":                "from 1 to 65535",
		"localhost:http":               "from 1 to 65535",
		"::1:80":                       "stands in brackets",
		"[::1:80":                      "the brackets",
		"[127.0.0.1]:80":               "the brackets",
		"[g::1]:80":                    "no IPv6 address",
		"tcp://host:80":                "an IP address or a name",
		"http://host:80":               "stands in brackets",
		"two words:80":                 "no blanks",
		"unix:/a\x00b":                 "no control characters",
		"unix:run/a":                   "begins with a slash",
		"unix:":                        "begins with a slash",
		"unix:/run/":                   "does not end in a slash",
		"unix:@":                       "has a name",
		"unix:@a,mode=0600":            "has no file",
		"fifo:@a":                      "has a file",
		"unix:/a,mode=999":             "octal number",
		"unix:/a,b":                    "after a comma",
		"unix:/a,user=":                "after a comma",
		"unix:/" + long(107):           "at most 107 fit",
		"unix:/a,mode=0600,mode=10000": "octal number",
	} {
		if a, err := Parse(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %+v, %v; want %q", text, a, err, why)
		}
	}
}

func long(n int) string { return strings.Repeat("x", n) }

func TestPlaceLeavesOutTheOwner(t *testing.T) {
	a, _ := Parse("unix:/a,mode=0600,user=u")
	b, _ := Parse("/a")
	if a.Place() != b || a.File() != "/a" || !a.Stream() || a.Abstract() {
		t.Errorf("%+v", a)
	}
	if c, _ := Parse("@x"); c.File() != "" || !c.Abstract() {
		t.Errorf("%+v", c)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"tcp:127.0.0.1:1", "[::1%a]:2", "unix:/a,mode=0660,user=u,group=g", "@n", "fifo:/x", "udp::9", "a:b:c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			if a != (Address{}) {
				t.Fatalf("%q: an address and an error", text)
			}
			return
		}
		again, err := Parse(a.String())
		if err != nil || again != a {
			t.Fatalf("%q: %+v is written as %q, which is %+v, %v", text, a, a.String(), again, err)
		}
	})
}
