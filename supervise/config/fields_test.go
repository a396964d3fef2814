package config

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"reflect"
	"testing"
	"unsafe"
)

// fillIn gives every field below v a value of its own, lists two elements.
func fillIn(v reflect.Value, next *uint64) {
	switch *next++; v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(-int64(*next))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(*next)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem(), next)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fillIn(v.Index(i), next)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() == reflect.TypeFor[cached]() && v.Type().Field(i).Name == "used" {
				continue // in this round alone
			}
			f := v.Field(i)
			// What is not exported is written down as well.
			fillIn(reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem(), next)
		}
	default:
		panic("no value for " + v.Type().String())
	}
}

// full is what a file gave that has every key there is.
func full() *cached {
	f, next := &cached{}, uint64(0)
	fillIn(reflect.ValueOf(f).Elem(), &next)
	return f
}

// A field that is missing in fields.go would be lost when a server takes over.
func TestEveryFieldOfAServiceIsInTheCompiledConfiguration(t *testing.T) {
	want := full()
	if z := reflect.ValueOf(want.Service).Elem(); z.NumField() < 40 {
		t.Fatalf("a service has only %d fields", z.NumField())
	}
	want.packed = true // as everything is that was decoded
	cache := &Cache{files: map[string]*cached{"/a": want, "/b": {packed: true}}, changed: true}
	got, err := DecodeCache(cache.Encode("me"), "me")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.files, cache.files) {
		t.Errorf("got %+v, want %+v", got.files["/a"].Service, want.Service)
	}
}

// compiled is a compiled configuration with a sum that is right.
func compiled(text []byte) []byte {
	return binary.LittleEndian.AppendUint32(text[:len(text):len(text)], crc32.ChecksumIEEE(text))
}

func TestACompiledConfigurationThatIsCutIsOfNoUse(t *testing.T) {
	whole := (&Cache{files: map[string]*cached{"/a": full()}, changed: true}).Encode("me")
	whole = whole[:len(whole)-4]
	for n := range whole {
		if c, err := DecodeCache(compiled(whole[:n]), "me"); err == nil || c == nil || len(c.files) > 0 {
			t.Fatalf("cut after %d of %d bytes: error %v", n, len(whole), err)
		}
	}
	if _, err := DecodeCache(compiled(append(whole, 0)), "me"); err == nil {
		t.Error("one byte too much: no error")
	}
}

// Whatever lies there is refused or understood; what was understood is written as it
// was understood.
func FuzzDecodeCache(f *testing.F) {
	whole := (&Cache{files: map[string]*cached{"/a": full(), "/b": {Problems: []Problem{{Line: 7}}}}, changed: true}).Encode("me")
	f.Add(whole[:len(whole)-4])
	f.Add([]byte("\x05me 3\xff\xff\x03"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := DecodeCache(compiled(text), "me")
		if err != nil {
			return
		}
		c.Lost()
		again, err := DecodeCache(c.Encode("me"), "me")
		if len(c.files) > 0 && (err != nil || !reflect.DeepEqual(again.files, c.files)) {
			t.Errorf("written again: %v", err)
		}
	})
}

func BenchmarkDecodeCache(b *testing.B) {
	cache := NewCache()
	cache.changed = true
	for i := range 1000 {
		path := fmt.Sprintf("/etc/zinit/services/service-%d.toml", i)
		s, problems := Parse(path, []byte(serviceText(fmt.Sprint("service-", i))))
		if s == nil {
			b.Fatal(problems)
		}
		cache.files[path] = &cached{Service: s, NameLine: 2}
	}
	text := cache.Encode("me")
	b.ReportMetric(float64(len(text))/1000, "bytes/service")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeCache(text, "me"); err != nil {
			b.Fatal(err)
		}
	}
}
