package cli

import (
	"context"
	"iter"

	"zinit/applets/env"
)

// flushAt is how much is printed of a stream before it is written, in bytes, when
// more is there already.
const flushAt = 64 << 10

// A drop is one element of a stream, or what ended it.
type drop[T any] struct {
	value T
	err   error
}

// pour reads ahead, so that whoever shows a stream sees whether more is there
// already and can write it all at once.
func pour[T any](ctx context.Context, stream iter.Seq2[T, error]) <-chan drop[T] {
	drops := make(chan drop[T], 256)
	go func() {
		defer close(drops)
		for value, err := range stream {
			select {
			case drops <- drop[T]{value, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return drops
}

// show prints the stream of a method until it ends and returns the exit code. open
// starts it; its context ends when nobody reads any more.
func show[T any](s *session, method string, open func(context.Context) iter.Seq2[T, error], print func(*T)) int {
	// The connection made here tells whether there is a server and on which
	// socket; the stream has its own, and waits for a server that comes back.
	if err := s.connect(); err != nil {
		return s.fail(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return drain(s, method, pour(ctx, open(ctx)), print)
}

func drain[T any](s *session, method string, drops <-chan drop[T], print func(*T)) int {
	for d := range drops {
		if d.err != nil {
			if err := s.flush(); err != nil {
				return s.fail(err)
			}
			return s.fail(s.explain(method, d.err))
		}
		print(&d.value)
		if len(drops) > 0 && s.out.Len() < flushAt {
			continue
		}
		if err := s.flush(); err != nil {
			return s.fail(err)
		}
	}
	return env.ExitDone
}
