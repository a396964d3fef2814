package sock

import (
	"fmt"
	"sync/atomic"
)

// freeBuffer is how much of its requests a connection may hold without asking the
// budget: almost all are shorter, and never touch what the connections share.
const freeBuffer = 16 << 10

// A budget bounds what the requests of all connections together hold: each may be
// long, but not all at once. A nil budget bounds nothing.
type budget struct {
	max  int64
	used atomic.Int64
}

// change accounts for a buffer of old bytes that becomes one of size bytes. It
// returns false, and changes nothing, when a larger one would be too much.
func (b *budget) change(old, size int) bool {
	more := over(size) - over(old)
	if b == nil || more == 0 {
		return true
	}
	if b.used.Add(more) > b.max && more > 0 {
		b.used.Add(-more)
		return false
	}
	return true
}

// over is what of a buffer counts.
func over(size int) int64 { return int64(max(size-freeBuffer, 0)) }

// exceeded is the error for a request for which nothing is left.
func (b *budget) exceeded() frame {
	return endOf(&Error{
		Code:    CodeParse,
		Message: fmt.Sprintf("too many long requests at once: they may hold %d bytes: try again, or send less", b.max),
		Data:    Detail{WordFrameTooLarge},
	})
}
