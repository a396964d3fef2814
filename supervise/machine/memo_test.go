package machine

import (
	"encoding/json"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clock counts from the epoch of the tests.
var clock = Clock{
	Nanos: func(t time.Time) int64 { return int64(t.Sub(epoch)) + 1 },
	Time:  func(n int64) time.Time { return epoch.Add(time.Duration(n - 1)) },
}

// remembered is the service as the next server reads it.
func remembered(t *testing.T, s Service) Service {
	t.Helper()
	text, err := json.Marshal(s.Memo(clock))
	if err != nil {
		t.Fatalf("%s: %v", describe(s), err)
	}
	back, err := decode(text, s.Rules)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !reflect.DeepEqual(back, s) {
		t.Fatalf("%s comes back as %s, from %s", describe(s), describe(back), text)
	}
	return back
}

func decode(text []byte, rules *Rules) (Service, error) {
	var m Memo
	if err := json.Unmarshal(text, &m); err != nil {
		return Service{}, err
	}
	return m.Service(rules, clock)
}

// filled sets every field of a value, so that none can be forgotten.
func filled(v reflect.Value) {
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(epoch.Add(time.Second)))
		return
	case reflect.TypeFor[Perm]():
		v.SetUint(uint64(Lost))
		return
	case reflect.TypeFor[Stage]():
		v.SetInt(int64(Finding))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			filled(v.Field(i))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("text")
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(3)
	}
}

func TestAMemoForgetsNoField(t *testing.T) {
	for _, state := range []State{Inactive{}, Blocked{}, Starting{}, Running{}, Stopping{}, Exited{}, Failed{}} {
		s := Service{}
		filled(reflect.ValueOf(&s).Elem())
		s.Rules = &Rules{}
		full := reflect.New(reflect.TypeOf(state)).Elem()
		filled(full)
		s.State = full.Interface().(State)
		remembered(t, s)
	}
}

func TestAMemoThatCannotBeIsRefused(t *testing.T) {
	target, service := &Rules{Target: true}, &Rules{StopSignal: syscall.SIGTERM}
	for _, c := range []struct {
		text  string
		rules *Rules
		why   string
	}{
		{``, service, "JSON"},
		{`{"state":"happy"}`, service, `no state "happy"`},
		{`{"state":"starting"}`, service, "without a run"},
		{`{"state":"stopping","last":3}`, service, "without a run"},
		{`{"state":"running","last":3}`, service, "run 0 of a service"},
		{`{"state":"running","run":3,"last":3}`, target, "run 3 of a target"},
		{`{"state":"running","run":4,"last":3}`, service, "after the last one"},
		{`{"state":"inactive","perm":9}`, service, "out of range"},
		{`{"state":"inactive","quick":-1}`, service, "out of range"},
		{`{"state":"running","run":2,"last":2,"hook":99}`, service, "no hook 99"},
	} {
		if _, err := decode([]byte(c.text), c.rules); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %s", c.text, err, c.why)
		}
	}
}

// TestStagesAreWrittenDown: the two that there always were as ever, the others by
// their words.
func TestStagesAreWrittenDown(t *testing.T) {
	for stage := Preparing; stage <= Finishing; stage++ {
		s := Service{Rules: &Rules{}, Last: 1, State: Starting{Run: 1, Stage: stage}}
		if back := remembered(t, s); back.State.(Starting).Stage != stage {
			t.Errorf("stage %d comes back as %s", stage, describe(back))
		}
	}
	for text, stage := range map[string]Stage{
		`{"state":"starting","run":2,"last":2,"up":true}`:                      Checking,
		`{"state":"starting","run":2,"last":2}`:                                Spawning,
		`{"state":"starting","run":2,"last":2,"up":true,"stage":"to be made"}`: Checking,
	} {
		if s, err := decode([]byte(text), &Rules{}); err != nil || s.State.(Starting).Stage != stage {
			t.Errorf("%s: %s, %v", text, describe(s), err)
		}
	}
}

func TestAMemoOfALaterVersionIsUnderstood(t *testing.T) {
	s, err := decode([]byte(`{"state":"running","run":2,"last":2,"mood":{"good":true},"want":true}`), &Rules{})
	if err != nil || s.Run() != 2 || !s.Want {
		t.Errorf("%s, %v", describe(s), err)
	}
}

func FuzzMemo(f *testing.F) {
	f.Add([]byte(`{"state":"stopping","run":2,"last":2,"why":{"kind":3},"kill_at":12}`))
	f.Add([]byte(`{"state":"exited","outcome":{"signal":9},"restart_at":5,"probe":{"at":1}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := decode(text, &Rules{})
		if err != nil {
			return
		}
		again, err := json.Marshal(s.Memo(clock))
		if err != nil {
			return // text that is not UTF-8 is mended by the encoder
		}
		if _, err := decode(again, s.Rules); err != nil {
			t.Errorf("%s, written again as %s: %v", text, again, err)
		}
	})
}

func BenchmarkMemo(b *testing.B) {
	s := Service{Rules: &Rules{}, State: Running{Run: 5, Since: epoch}, Want: true, Perm: Go, Last: 5, Started: epoch, Delay: time.Second}
	text, err := json.Marshal(s.Memo(clock))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if _, err := json.Marshal(s.Memo(clock)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, err := decode(text, s.Rules); err != nil {
				b.Fatal(err)
			}
		}
	})
}
