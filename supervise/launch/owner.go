package launch

import "zinit/supervise/config"

// Owner is whom what belongs to a service is to belong to, in numbers; -1: it is left
// as it is made. It reads the files of users and groups if it has to, and may be
// called from any goroutine.
func (l *Launcher) Owner(id config.Identity) (uid, gid int, err error) {
	who, err := l.users.resolve(id, l.uid)
	if err != nil || who.credential == nil {
		return -1, -1, err
	}
	return int(who.credential.Uid), int(who.credential.Gid), nil
}
