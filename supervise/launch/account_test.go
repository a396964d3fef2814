package launch

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"zinit/reap"
	"zinit/supervise/config"
)

const (
	passwdText = "# comment\n" +
		"root:x:0:0:root:/root:/bin/bash\n" +
		"broken:x:nine:9::/:/bin/sh\n" +
		"short:x:1:1\n" +
		"+::::::\n" +
		"www:x:33:34:web, the:/var/www:/usr/sbin/nologin\r\n" +
		"bare:x:70:71:::\n" +
		"twin:x:33:99::/twin:/bin/sh\n" +
		"huge:x:4294967295:1::/:/bin/sh\n"
	groupText = "root:x:0:\n" +
		"web:x:34:\n" +
		"logs:x:4:syslog,www\n" +
		"broken:x:y:www\n" +
		"short:x\n" +
		"more:x:5: www ,other\n" +
		"again:x:4:www\n"
)

func files(t testing.TB) *accounts {
	t.Helper()
	dir := t.TempDir()
	a := &accounts{passwd: filepath.Join(dir, "passwd"), group: filepath.Join(dir, "group")}
	for path, text := range map[string]string{a.passwd: passwdText, a.group: groupText} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestUsersAndGroupsAreResolved(t *testing.T) {
	a := files(t)
	gid := uint32(os.Getegid())
	tests := []struct {
		id   config.Identity
		want *reap.Credential
		name string // of the account
		err  string
	}{
		{config.Identity{}, nil, "", ""},
		{config.Identity{User: "www"}, &reap.Credential{Uid: 33, Gid: 34, Groups: []uint32{34, 4, 5}}, "www", ""},
		{config.Identity{User: "33"}, &reap.Credential{Uid: 33, Gid: 34, Groups: []uint32{34, 4, 5}}, "www", ""},
		{config.Identity{User: "bare"}, &reap.Credential{Uid: 70, Gid: 71, Groups: []uint32{71}}, "bare", ""},
		{config.Identity{User: "4711"}, &reap.Credential{Uid: 4711, Gid: 4711, Groups: []uint32{4711}}, "", ""},
		{config.Identity{User: "www", Group: "root", Groups: []string{"web", "7", "logs"}},
			&reap.Credential{Uid: 33, Gid: 0, Groups: []uint32{0, 4, 5, 34, 7}}, "www", ""},
		{config.Identity{Group: "web"}, &reap.Credential{Uid: 0, Gid: 34, KeepGroups: true}, "", ""},
		{config.Identity{Groups: []string{"web"}}, &reap.Credential{Uid: 0, Gid: gid, Groups: []uint32{34}}, "", ""},
		{config.Identity{User: "nobody"}, nil, "", "user nobody does not exist: it is not in " + a.passwd + ": create it, or correct the name"},
		{config.Identity{User: "broken"}, nil, "", "user broken does not exist"},
		{config.Identity{User: "huge"}, nil, "", "user huge does not exist"},
		{config.Identity{User: "www", Group: "nogroup"}, nil, "", "group nogroup does not exist"},
		{config.Identity{User: "www", Groups: []string{"broken"}}, nil, "", "supplementary group broken does not exist"},
	}
	for _, test := range tests {
		who, err := a.resolve(test.id, 0)
		if test.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("%+v: %v", test.id, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(who.credential, test.want) || who.account.name != test.name {
			t.Errorf("%+v: %v: %+v %+v", test.id, err, who.credential, who.account)
		}
	}
}

func TestWhoIsNotRootCanBeOneself(t *testing.T) {
	a := files(t)
	tests := []struct {
		id  config.Identity
		err string
	}{
		{config.Identity{User: "www"}, ""},
		{config.Identity{User: "33"}, ""},
		{config.Identity{User: "root"}, "cannot run with user root: zinit runs as user 33: run it as root, or remove the key"},
		{config.Identity{Groups: []string{"web"}}, "cannot run with supplementary_groups web"},
		{config.Identity{Group: "4711"}, "cannot run with group 4711"},
	}
	for _, test := range tests {
		who, err := a.resolve(test.id, 33)
		if who.credential != nil || (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
			t.Errorf("%+v: %+v %v", test.id, who, err)
		}
	}
}

func TestWithoutFilesNumbersWork(t *testing.T) {
	a := &accounts{passwd: "/nothing/passwd", group: "/nothing/group"}
	who, err := a.resolve(config.Identity{User: "5", Group: "6", Groups: []string{"7"}}, 0)
	if want := (&reap.Credential{Uid: 5, Gid: 6, Groups: []uint32{6, 7}}); err != nil || !reflect.DeepEqual(who.credential, want) {
		t.Errorf("%v %+v", err, who.credential)
	}
	_, err = a.resolve(config.Identity{User: "www"}, 0)
	if err == nil || err.Error() != "user www is not known: there is no /nothing/passwd: write a number" {
		t.Error(err)
	}
}

func TestAFileThatChangedIsReadAgain(t *testing.T) {
	a := files(t)
	if _, err := a.user("late"); err == nil {
		t.Fatal("it is there already")
	}
	text := strings.Replace(passwdText, "www", "late", 1)
	if err := os.WriteFile(a.passwd+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(a.passwd+".new", a.passwd); err != nil {
		t.Fatal(err)
	}
	if who, err := a.user("late"); err != nil || who.uid != 33 {
		t.Errorf("%v %+v", err, who)
	}
}

// FuzzAccounts: no text makes anybody the user of nobody's number.
func FuzzAccounts(f *testing.F) {
	f.Add(passwdText, groupText, "www")
	f.Add("a:b:1:2:::", "::1:a", "1")
	f.Fuzz(func(t *testing.T, passwd, group, key string) {
		who, ok := findUser(passwd, key)
		if ok && (who.name == "" || who.uid == 1<<32-1 || who.gid == 1<<32-1) {
			t.Fatalf("%+v", who)
		}
		if gid, ok := findGroup(group, key); ok && gid == 1<<32-1 {
			t.Fatal(gid)
		}
		for i, gid := range appendMemberships(nil, group, key) {
			if gid == 1<<32-1 || i > len(group) {
				t.Fatal(gid)
			}
		}
	})
}
