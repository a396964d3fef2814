package cgroup

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// What is read back is what was set, in a directory that is no cgroup: the kernel's
// files of that name have the same text.
func TestLimitsInForceAreReadBack(t *testing.T) {
	for _, want := range []Limits{
		{},
		{MemoryMax: 512 << 20},
		{MemoryMax: 1 << 30, MemoryHigh: 512 << 20, CPUQuota: 1500, CPUWeight: 50, TasksMax: 64},
		{CPUQuota: 10},
	} {
		dir := t.TempDir()
		for _, s := range want.settings() {
			if err := os.WriteFile(filepath.Join(dir, s.file), []byte(s.text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, cannot := InForce(dir); got != want || cannot != nil {
			t.Errorf("%+v is read back as %+v, %v", want, got, cannot)
		}
	}
}

func TestWhatHasNoControllerCannotBeInForce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "web.svc")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"pids.max": "12\n", "memory.max": "nonsense\n", "memory.high": "max\n", "cpu.max": "5000\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, cannot := InForce(dir)
	want := []Refusal{{"cpu_weight", "the cpu controller is not available in " + filepath.Dir(dir)}}
	if got != (Limits{TasksMax: 12}) || !reflect.DeepEqual(cannot, want) {
		t.Errorf("got %+v, %v", got, cannot)
	}
}
