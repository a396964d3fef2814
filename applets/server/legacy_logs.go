package server

import (
	"context"
	"fmt"
	"io"

	"zinit/sock"
	"zinit/sock/legacy"
	"zinit/supervise"
	"zinit/supervise/logs"
)

// legacyRing is how many lines zinit 0.2 keeps.
const legacyRing = 2000

// Logs writes the lines of all services in the form of zinit 0.2.
func (s legacyServer) Logs(ctx context.Context, w io.Writer, follow bool) error {
	if !follow {
		lines, err := s.oldLines(ctx, "")
		if err == nil {
			err = s.writeLines(w, sock.LogBatch{Lines: lines})
		}
		return err
	}
	begin := func() error { return nil }
	return s.followLegacy(ctx, "", legacyRing, begin, func(batch sock.LogBatch) error { return s.writeLines(w, batch) })
}

// oldLines are the last lines of a service, or of all that zinit 0.2 would show.
func (s *server) oldLines(ctx context.Context, name string) ([]sock.FollowedLine, error) {
	var all []sock.LogLine
	for _, v := range s.sup.Snapshot().Views {
		if name != "" && v.Name != name || !inLegacyLog(v) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sources := []string{v.Name}
		if test, ok := supervise.TestLog(v.Config); ok && name == "" {
			sources = append(sources, test)
		}
		for _, source := range sources {
			lines, err := s.logs.Read(source, logs.Query{Lines: legacyRing})
			if err != nil {
				return nil, fmt.Errorf("cannot read the log of %s: %w", source, err)
			}
			for _, l := range lines {
				all = append(all, wireLine(source, l))
			}
		}
		all = lastOf(all, legacyRing)
	}
	followed := make([]sock.FollowedLine, len(all))
	for i, l := range all {
		followed[i].LogLine = l
	}
	return followed, nil
}

// inLegacyLog reports a service whose lines are in the log of zinit 0.2: those that go
// to stdout were not.
func inLegacyLog(v *supervise.View) bool {
	return !v.Target() && !v.Config.Logging.Stdout && !v.Config.Logging.None
}

// followLegacy tells the last lines, so many of each service, and then each one that
// comes from when begin is called on.
func (s *server) followLegacy(ctx context.Context, name string, last int64, begin func() error, send func(sock.LogBatch) error) error {
	t := telling{s: s, send: send, p: sock.LogsFollowParams{Lines: last}, followers: map[string]*logs.Follower{}, tests: name == ""}
	if name != "" {
		t.p.Names = []string{name}
	}
	defer t.close()
	if _, err := t.open(); err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	if len(t.names) > 1 {
		if err := t.past(ctx); err != nil {
			return err
		}
	}
	return t.present(ctx)
}

// legacyLines is the lines of a batch that are shown, each with its newline.
func (s *server) legacyLines(batch sock.LogBatch) (lines [][]byte) {
	if batch.Dropped > 0 {
		lines = append(lines, legacy.AppendLine(nil, "zinit", false, fmt.Appendf(nil, "%d bytes dropped", batch.Dropped)))
	}
	snap := s.sup.Snapshot()
	for _, l := range batch.Lines {
		if v := snap.Find(l.Service); v == nil && l.Service == logs.Nobody || v != nil && !inLegacyLog(v) {
			continue
		}
		lines = append(lines, legacy.AppendLine(nil, l.Service, l.Stream == logs.Stdout.String(), []byte(l.Content)))
	}
	return lines
}

func (s *server) writeLines(w io.Writer, batch sock.LogBatch) error {
	var text []byte
	for _, line := range s.legacyLines(batch) {
		text = append(text, line...)
	}
	if len(text) == 0 {
		return nil
	}
	_, err := w.Write(text)
	return err
}
