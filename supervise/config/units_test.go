package config

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDurationsHaveUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"500ms": 500 * time.Millisecond, "5s": 5 * time.Second, "1m30s": 90 * time.Second, "2h": 2 * time.Hour, " 1h 30m ": 90 * time.Minute,
		"1d": 24 * time.Hour, "2w": 14 * 24 * time.Hour, "90m": 90 * time.Minute, "0s": 0, "1s500ms": 1500 * time.Millisecond, "007s": 7 * time.Second,
	} {
		got, ok := parseDuration(text)
		if !ok || got != want {
			t.Errorf("%q: got %v %v, want %v", text, got, ok, want)
		}
		if back, ok := parseDuration(formatDuration(got)); !ok || back != got {
			t.Errorf("%v is written as %s", got, formatDuration(got))
		}
	}
	for _, text := range []string{"", " ", "5", "s", "5x", "-5s", "1.5s", "5 s", "5s5", "5sm", "1y", "9223372036854775807s", "99999999999999999999s", "15250w15250w"} {
		if got, ok := parseDuration(text); ok {
			t.Errorf("%q: got %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 36 * time.Hour: "1d12h", time.Minute + time.Millisecond: "1m1ms", 14 * 24 * time.Hour: "14d"} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestPercentagesAreThousandths(t *testing.T) {
	for text, want := range map[string]int64{"80%": 800, "250%": 2500, "12.5%": 125, " 1 %": 10, "0%": 0, "0.5%": 5, "007%": 70} {
		got, ok := percent(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: got %d %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "%", "80", "80 percent", "-5%", "+5%", "1.%", ".5%", "1.25%", "1.-5%", "1.+%", "5%%", "99999999999%", "1e3%"} {
		if got, ok := percent(text); ok {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func TestSizesAreBytes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "65536": 65536, "64K": 64 << 10, " 512M ": 512 << 20, "4G": 4 << 30, "8589934591G": 8589934591 << 30} {
		if got, ok := sizeOf(text); !ok || got != want {
			t.Errorf("%q: got %d %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "K", "1KB", "1k", "1.5G", "-1", "+1", "1 K", "8589934592G", "9223372036854775808", "1GG", "0x10"} {
		if got, ok := sizeOf(text); ok {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func FuzzUnits(f *testing.F) {
	for _, text := range []string{"1m30s", "2w1d3h4m5s6ms", "80%", "12.5%", "64K", "8589934591G", "unlimited", "9223372036854775807ms"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, ok := parseDuration(text); ok {
			if back, again := parseDuration(formatDuration(d)); d < 0 || !again || back != d {
				t.Errorf("%q is %v, then %v", text, d, back)
			}
		}
		if n, ok := percent(text); ok {
			if back, again := percent(inPercent(n)); n < 0 || !again || back != n {
				t.Errorf("%q is %d, then %d", text, n, back)
			}
		}
		if n, ok := sizeOf(text); ok && n < 0 {
			t.Errorf("%q is %d", text, n)
		}
		if n, ok := rlimitNumber(text); ok {
			if back, again := rlimitNumber(rlimitText(n)); !again || back != n {
				t.Errorf("%q is %d, then %d", text, n, back)
			}
		}
	})
}

func TestStatusesAreCodesAndSignals(t *testing.T) {
	s := Statuses{Codes: [4]uint64{1, 2, 0, 1 << 63}, Signals: 1<<1 | 1<<31}
	for code, want := range map[int]bool{0: true, 1: false, 65: true, 255: true, 254: false, 256: false, -1: false, 64: false} {
		if s.HasCode(code) != want {
			t.Errorf("code %d: %v", code, !want)
		}
	}
	for sig, want := range map[syscall.Signal]bool{1: true, 31: true, 15: false, 0: false, -1: false, 64: false, 65: false} {
		if s.HasSignal(sig) != want {
			t.Errorf("signal %d: %v", sig, !want)
		}
	}
	if s.Empty() || !(Statuses{}).Empty() {
		t.Error("which is empty?")
	}
}

func TestCapabilitiesHaveNames(t *testing.T) {
	for text, want := range map[string]int{
		"CAP_CHOWN": 0, "chown": 0, " Cap_Net_Bind_Service ": 10, "SYS_ADMIN": 21, "cap_setfcap": 31, "syslog": 34, "CAP_CHECKPOINT_RESTORE": 40,
	} {
		if got, err := ParseCapability(text); err != nil || got != want {
			t.Errorf("%q: got %d %v, want %d", text, got, err, want)
		}
	}
	for n := range 41 {
		if got, err := ParseCapability(CapabilityName(n)); err != nil || got != n {
			t.Errorf("%d is %s is %d (%v)", n, CapabilityName(n), got, err)
		}
	}
	for text, want := range map[string]string{"": "write a name such as", "CAP_": "write a name", "10": "write a name", "CAP_SYS_ADMN": "did you mean CAP_SYS_ADMIN?"} {
		if _, err := ParseCapability(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if got := CapabilityName(41); got != "capability 41" {
		t.Errorf("got %q", got)
	}
}

func TestResourceLimitsHaveTheNumbersOfLinux(t *testing.T) {
	for name, want := range map[string]int{
		"cpu": 0, "fsize": syscall.RLIMIT_FSIZE, "data": syscall.RLIMIT_DATA, "stack": syscall.RLIMIT_STACK, "core": syscall.RLIMIT_CORE,
		"nproc": 6, "nofile": syscall.RLIMIT_NOFILE, "memlock": 8, "as": syscall.RLIMIT_AS, "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14,
	} {
		if RlimitName(want) != name {
			t.Errorf("%d is %s, want %s", want, RlimitName(want), name)
		}
		if sectionNamed("rlimits").find(name) == nil {
			t.Errorf("[rlimits] has no %s", name)
		}
	}
	if got := RlimitName(16); got != "limit 16" {
		t.Errorf("got %q", got)
	}
}
