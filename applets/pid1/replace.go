package pid1

import "time"

// softly replaces the server by one of the file that is at its path now. It is no
// failure of the server's, so the back-off neither applies nor changes.
func (l *life) softly(now time.Time) []any {
	switch {
	case l.stage >= drain || l.soft:
		return nil // it ends anyhow
	case l.running:
		return l.endSoftly(now)
	case l.starting:
		l.soft = true
		return nil
	}
	return l.start(now)
}

func (l *life) endSoftly(now time.Time) []any {
	l.soft, l.softBy = true, now.Add(l.patience.soft)
	return []any{endServer{}}
}
