package logs

// Adopting says that pipes of an earlier server are about to be adopted, and that there
// are more urgent things than reading them. Until Adopted nothing of them is read; what
// Start, Ended and Append say waits, in order, and so does whoever asks for lines.
func (l *Logs) Adopting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.adopted = make(chan struct{})
}

// Adopted ends what Adopting began: when it returns the pipes are read.
func (l *Logs) Adopted() {
	for {
		l.mu.Lock()
		late := l.late
		l.late = nil
		if len(late) == 0 {
			if l.adopted != nil {
				close(l.adopted)
				l.adopted = nil
			}
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		for _, f := range late {
			f()
		}
	}
}

// inTurn calls f, which concerns what is read, after all that is put off.
func (l *Logs) inTurn(f func()) {
	l.mu.Lock()
	if l.adopted != nil {
		l.late = append(l.late, f)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	f()
}

// awaitAdopted waits for what is put off.
func (l *Logs) awaitAdopted() {
	l.mu.Lock()
	adopted := l.adopted
	l.mu.Unlock()
	if adopted != nil {
		<-adopted
	}
}
