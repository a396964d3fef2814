package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
)

// An account is a line of the file of users. The zero account is unknown.
type account struct {
	name, home, shell string
	uid, gid          uint32
}

// variables tell a process who it is.
func (a account) variables() (list []string) {
	if a.name == "" {
		return nil
	}
	list = append(list, "USER="+a.name, "LOGNAME="+a.name)
	if a.home != "" {
		list = append(list, "HOME="+a.home)
	}
	if a.shell != "" {
		list = append(list, "SHELL="+a.shell)
	}
	return list
}

// An identity is whom a process is to run as.
type identity struct {
	credential *reap.Credential // nil: the keeper's own
	account    account          // of a `user` that was given; else unknown
}

func (i identity) variables() []string { return i.account.variables() }

// Accounts reads the files of users and groups. It is safe for concurrent use.
type accounts struct {
	passwd, group string // paths

	mu    sync.Mutex
	texts map[string]text // guarded by mu; by path
}

// A text is what a file held when it was read last.
type text struct {
	all   string
	size  int64
	mtime time.Time
	file  os.FileInfo
}

// maxAccounts bounds the files of users and groups.
const maxAccounts = 16 << 20

// read is the text of a file, which is read again when it has changed.
func (a *accounts) read(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if t, ok := a.texts[path]; ok && os.SameFile(t.file, st) && t.size == st.Size() && t.mtime.Equal(st.ModTime()) {
		return t.all, nil
	}
	all, err := readBounded(path, maxAccounts)
	if err != nil {
		return "", err
	}
	if a.texts == nil {
		a.texts = make(map[string]text)
	}
	a.texts[path] = text{all, st.Size(), st.ModTime(), st}
	return all, nil
}

// readBounded reads a file that must be a plain one of limited size.
func readBounded(path string, limit int64) (string, error) {
	f, err := openAtOnce(path, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !st.Mode().IsRegular():
		return "", errors.New("it is not a regular file")
	}
	all, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(all)) > limit {
		err = fmt.Errorf("it is larger than %d KiB", limit>>10)
	}
	return string(all), err
}

// resolve turns names into numbers. uid is whom this process runs as: only root can
// become somebody else.
func (a *accounts) resolve(id config.Identity, uid int) (identity, error) {
	if id.User == "" && id.Group == "" && len(id.Groups) == 0 {
		return identity{}, nil
	}
	var who identity
	var err error
	c := &reap.Credential{Uid: uint32(uid), Gid: uint32(os.Getegid()), KeepGroups: true}
	if id.User != "" {
		if who.account, err = a.user(id.User); err != nil {
			return identity{}, err
		}
		c.Uid, c.Gid, c.KeepGroups = who.account.uid, who.account.gid, false
	}
	if id.Group != "" {
		if c.Gid, err = a.groupNumber(id.Group); err != nil {
			return identity{}, fmt.Errorf("group %w", err)
		}
	}
	if uid != 0 {
		return who.unprivileged(id, c, uid)
	}
	if err := a.supplement(id, who.account.name, c); err != nil {
		return identity{}, err
	}
	who.credential = c
	return who, nil
}

// unprivileged is whom somebody can become who is not root: oneself.
func (i identity) unprivileged(id config.Identity, c *reap.Credential, uid int) (identity, error) {
	refused := func(key, value string) (identity, error) {
		return identity{}, fmt.Errorf("cannot run with %s %s: zinit runs as user %d: run it as root, or remove the key", key, value, uid)
	}
	switch {
	case c.Uid != uint32(uid):
		return refused("user", id.User)
	case id.Group != "" && c.Gid != uint32(os.Getegid()):
		return refused("group", id.Group)
	case len(id.Groups) > 0:
		return refused("supplementary_groups", strings.Join(id.Groups, ", "))
	}
	return i, nil // nothing is to be changed
}

// supplement adds the groups that a user is in, and those that are named.
func (a *accounts) supplement(id config.Identity, name string, c *reap.Credential) error {
	if id.User != "" {
		c.Groups = append(c.Groups, c.Gid)
		if name != "" {
			text, err := a.read(a.group)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("cannot read %s: %w: mend it, or write numbers", a.group, reason(err))
			}
			c.Groups = appendMemberships(c.Groups, text, name)
		}
	}
	for _, group := range id.Groups {
		gid, err := a.groupNumber(group)
		if err != nil {
			return fmt.Errorf("supplementary group %w", err)
		}
		c.Groups = appendNew(c.Groups, gid)
		c.KeepGroups = false
	}
	return nil
}

func appendNew(list []uint32, n uint32) []uint32 {
	if slices.Contains(list, n) {
		return list
	}
	return append(list, n)
}

// user finds a user by name or number. A number need not be anybody's: then its group
// is that of the same number.
func (a *accounts) user(key string) (account, error) {
	text, err := a.read(a.passwd)
	if found, ok := findUser(text, key); ok {
		return found, nil
	}
	if n, ok := number(key); ok {
		return account{uid: n, gid: n}, nil
	}
	return account{}, fmt.Errorf("user %w", unknown(key, a.passwd, err))
}

// own is the account of a user, unknown if there is none.
func (a *accounts) own(uid int) account {
	text, _ := a.read(a.passwd)
	found, _ := findUser(text, strconv.Itoa(uid))
	return found
}

func (a *accounts) groupNumber(key string) (uint32, error) {
	if n, ok := number(key); ok {
		return n, nil
	}
	text, err := a.read(a.group)
	if gid, ok := findGroup(text, key); ok {
		return gid, nil
	}
	return 0, unknown(key, a.group, err)
}

func unknown(key, path string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s is not known: there is no %s: write a number", key, path)
	case err != nil:
		return fmt.Errorf("%s is not known: cannot read %s: %w: write a number", key, path, reason(err))
	}
	return fmt.Errorf("%s does not exist: it is not in %s: create it, or correct the name", key, path)
}

// number reads a user or group number; the highest means nobody to the kernel.
func number(key string) (uint32, bool) {
	n, err := strconv.ParseUint(key, 10, 32)
	return uint32(n), err == nil && n != 1<<32-1
}

// findUser finds a line of the file of users: name, password, number, group, comment,
// home and shell, between colons.
func findUser(text, key string) (account, bool) {
	wanted, byNumber := number(key)
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) < 7 || f[0] == "" || !byNumber && f[0] != key {
			continue
		}
		uid, good := number(f[2])
		gid, alsoGood := number(f[3])
		if good && alsoGood && (!byNumber || uid == wanted) {
			return account{name: f[0], home: f[5], shell: f[6], uid: uid, gid: gid}, true
		}
	}
	return account{}, false
}

// findGroup finds a line of the file of groups: name, password, number and members.
func findGroup(text, name string) (gid uint32, ok bool) {
	for line := range strings.Lines(text) {
		if found, rest, _ := strings.Cut(line, ":"); found == name && name != "" {
			if gid, _, ok := groupLine(rest); ok {
				return gid, true
			}
		}
	}
	return 0, false
}

// appendMemberships adds the groups that have a user among their members.
func appendMemberships(list []uint32, text, user string) []uint32 {
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(line, ":")
		gid, members, ok := groupLine(rest)
		if !ok {
			continue
		}
		for member := range strings.SplitSeq(members, ",") {
			if strings.TrimSpace(member) == user {
				list = appendNew(list, gid)
			}
		}
	}
	return list
}

// groupLine reads what follows the name.
func groupLine(rest string) (gid uint32, members string, ok bool) {
	f := strings.Split(strings.TrimRight(rest, "\r\n"), ":")
	if len(f) < 3 {
		return 0, "", false
	}
	gid, ok = number(f[1])
	return gid, f[2], ok
}
