package sock

import "context"

// A Line is a line of text that came where JSON was not, and the way to answer it. It
// is valid until Options.Lines returns.
type Line struct {
	Text   []byte // without its newline; empty when there were only blanks
	Peer   Peer   // who asks
	Access Access // what that may do

	c *conn
}

// Write sends text to the client. It returns when the connection has taken it, and
// waits while the client does not read, for at most Options.StreamTimeout. An error
// means that nobody listens any more.
func (l *Line) Write(text []byte) (int, error) {
	c := l.c
	c.hold()
	c.out.b = append(c.out.b, text...)
	if !c.flushOver(0) {
		return 0, c.failed
	}
	c.release()
	return len(text), nil
}

// answerLine has a line answered. Nothing more is read.
func (c *conn) answerLine(text []byte) {
	ctx, cancel := context.WithCancel(c.srv.streams)
	defer cancel()
	l := &Line{Text: append([]byte(nil), text...), Peer: c.peer, Access: c.access, c: c}
	c.in.drop()
	c.release()
	defer c.watchHangUp(cancel)()
	c.streaming.Store(true)
	c.srv.opts.Lines(ctx, l)
}
