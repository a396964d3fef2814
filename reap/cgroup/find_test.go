package cgroup

import "testing"

const (
	v2     = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
	hybrid = "29 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs rw\n" +
		"30 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"31 29 0:28 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n"
	groups1 = "4:memory:/\n1:cpu:/\n0::/a b\n"
)

func TestTheOwnGroupIsFoundInEveryLayout(t *testing.T) {
	tests := []struct{ name, mounts, groups, want, err string }{
		{"one tree", v2, "0::/system.slice/x\n", "/sys/fs/cgroup/system.slice/x", ""},
		{"hybrid", hybrid, groups1, "/sys/fs/cgroup/unified/a b", ""},
		{"the root", v2, "0::/\n", "/sys/fs/cgroup", ""},
		{"a part of the tree is mounted", "29 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 c rw\n", "0::/docker/1/x\n", "/sys/fs/cgroup/x", ""},
		{"exactly that part", "29 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 c rw\n", "0::/docker/1\n", "/sys/fs/cgroup", ""},
		{"another part", "29 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 c rw\n", "0::/docker/12\n", "",
			"the cgroup /docker/12 of this process is not in the tree at /sys/fs/cgroup"},
		{"outside of the namespace", v2, "0::/../x\n", "", "the cgroup /../x of this process is not in the tree at /sys/fs/cgroup"},
		{"read-only", "29 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 c rw\n", "0::/\n", "",
			"the cgroup tree at /sys/fs/cgroup is mounted read-only"},
		{"read-only there, not here", "29 23 0:26 / /a ro - cgroup2 c rw\n30 23 0:26 / /b\\040c rw - cgroup2 c rw\n", "0::/x\n", "/b c/x", ""},
		{"not mounted", "29 23 0:26 / / rw - ext4 /dev/vda rw\n", "0::/\n", "", "no cgroup v2 tree is mounted"},
		{"version 1 alone", hybrid, "4:memory:/\n", "", "this kernel has no cgroup v2"},
		{"nothing", "", "", "", "this kernel has no cgroup v2"},
	}
	for _, test := range tests {
		got, err := own(test.mounts, test.groups)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != test.want || text != test.err {
			t.Errorf("%s: %q, %q", test.name, got, text)
		}
	}
}

func FuzzOwn(f *testing.F) {
	f.Add(hybrid, groups1)
	f.Add("1 2 3:4 \\0 \\04 ro - cgroup2 ", "0::/..")
	f.Fuzz(func(t *testing.T, mounts, groups string) {
		dir, err := own(mounts, groups)
		if (err == nil) == (dir == "") {
			t.Fatalf("%q %v", dir, err)
		}
	})
}

func TestOnlyTheLeafOfItsOwnKeeperIsATree(t *testing.T) {
	tests := []struct {
		dir  string
		root string
		ok   bool
	}{
		{"/c/zinit-12/keeper", "/c/zinit-12", true},
		{"/c/zinit-12-2/keeper", "/c/zinit-12-2", true},
		{"/c/zinit-123/keeper", "", false},
		{"/c/zinit-12/web.svc", "", false},
		{"/c/zinit-12", "", false},
		{"/keeper", "", false},
		{"/", "", false},
	}
	for _, test := range tests {
		root, ok := treeOf(test.dir, 12)
		if ok != test.ok || ok && root != test.root {
			t.Errorf("%s: %q %v", test.dir, root, ok)
		}
	}
}

func TestValuesAreFoundByName(t *testing.T) {
	const text = "low 0\noom 3\noom_kill 2\nbad x\n"
	for name, want := range map[string]int64{"low": 0, "oom": 3, "oom_kill": 2, "bad": -1, "oom_": -1, "": -1} {
		n, ok := value(text, name)
		if ok != (want >= 0) || ok && int64(n) != want {
			t.Errorf("%s: %d %v", name, n, ok)
		}
	}
}
