package config

import "zinit/proxy/address"

// One function per struct lists all its fields, in the order in which they are written.

func (f *cached) fields(c *coder) {
	f.ID.fields(c)
	maybe(c, &f.Service, func(c *coder, s *Service) { s.fields(c) })
	num(c, &f.NameLine)
	list(c, &f.Problems, func(c *coder, p *Problem) { p.fields(c) })
}

func (d *Defaults) fields(c *coder) {
	num(c, &d.RestartDelay)
	num(c, &d.StopTimeout)
	num(c, &d.StartTimeout)
}

func (id *identity) fields(c *coder) {
	num(c, &id.Dev)
	num(c, &id.Ino)
	num(c, &id.Size)
	num(c, &id.Changed)
	num(c, &id.Wrote)
	num(c, &id.Uid)
	num(c, &id.Gid)
	num(c, &id.Mode)
}

func (p *Problem) fields(c *coder) {
	str(c, &p.File)
	num(c, &p.Line)
	str(c, &p.Key)
	str(c, &p.Service)
	num(c, &p.Severity)
	str(c, &p.Message)
}

func (s *Service) fields(c *coder) {
	s.head(c)
	s.process(c)
	num(c, &s.Status)
	num(c, &s.Class)
	yes(c, &s.Critical)
	list(c, &s.Ports, num[uint16])
	yes(c, &s.KillOthers)
	for _, names := range [...]*[]string{&s.ProcessFilters, &s.Requires, &s.After, &s.Wants, &s.Conflicts, &s.Awaits} {
		strs(c, names)
	}
	s.Lifecycle.fields(c)
	maybe(c, &s.Health, func(c *coder, h *Health) { h.fields(c) })
	s.Logging.fields(c)
	maybe(c, &s.Timer, func(c *coder, t *Timer) { t.fields(c) })
	list(c, &s.Sockets, func(c *coder, t *Socket) { t.fields(c) })
}

func (s *Service) head(c *coder) {
	str(c, &s.Name)
	yes(c, &s.Target)
	str(c, &s.Source)
	raw(c, s.Digest[:])
	str(c, &s.Description)
}

// process is what says how its processes come to be and end.
func (s *Service) process(c *coder) {
	num(c, &s.Type)
	str(c, &s.Exec)
	s.Command.fields(c)
	str(c, &s.Dir)
	strs(c, &s.Env)
	list(c, &s.EnvFiles, func(c *coder, f *EnvFile) {
		str(c, &f.Path)
		yes(c, &f.Optional)
	})
	yes(c, &s.InheritEnv)
	str(c, &s.Stdin)
	str(c, &s.TTY)
	num(c, &s.NotifyFD)
	num(c, &s.NotifyAccess)
	num(c, &s.Watchdog)
	str(c, &s.PidFile)
	yes(c, &s.RemainAfterExit)
	yes(c, &s.Main)
	str(c, &s.Identity.User)
	str(c, &s.Identity.Group)
	strs(c, &s.Identity.Groups)
	s.Setup.fields(c)
	for _, hooks := range [...]*[]Hook{&s.Hooks.StartPre, &s.Hooks.StartPost, &s.Hooks.Stop, &s.Hooks.StopPost, &s.Hooks.Reload} {
		list(c, hooks, func(c *coder, h *Hook) { h.fields(c) })
	}
	num(c, &s.ReloadSignal)
	s.SuccessStatus.fields(c)
	s.PreventStatus.fields(c)
	s.Limits.fields(c)
	yes(c, &s.RequiresLimits)
}

func (m *Command) fields(c *coder) {
	strs(c, &m.Argv)
	yes(c, &m.Shell)
	str(c, &m.ShellWhy)
}

func (s *Setup) fields(c *coder) {
	maybe(c, &s.Umask, num[uint32])
	maybe(c, &s.Nice, num[int])
	maybe(c, &s.OOMScoreAdj, num[int])
	maybe(c, &s.Capabilities, func(c *coder, v *[]int) { list(c, v, num[int]) })
	yes(c, &s.NoNewPrivs)
	list(c, &s.Rlimits, func(c *coder, l *Rlimit) {
		num(c, &l.Resource)
		num(c, &l.Soft)
		num(c, &l.Hard)
	})
}

func (h *Hook) fields(c *coder) {
	str(c, &h.Line)
	h.Command.fields(c)
	yes(c, &h.IgnoreFailure)
}

func (s *Statuses) fields(c *coder) {
	for i := range s.Codes {
		num(c, &s.Codes[i])
	}
	num(c, &s.Signals)
}

func (l *Limits) fields(c *coder) {
	num(c, &l.MemoryMax)
	num(c, &l.MemoryHigh)
	num(c, &l.MemoryMaxPercent)
	num(c, &l.MemoryHighPercent)
	num(c, &l.CPUQuota)
	num(c, &l.CPUWeight)
	num(c, &l.TasksMax)
}

func (l *Lifecycle) fields(c *coder) {
	num(c, &l.Restart)
	yes(c, &l.RestartExplicit)
	num(c, &l.RestartDelay)
	num(c, &l.RestartDelayMax)
	num(c, &l.MaxRestarts)
	num(c, &l.StabilityPeriod)
	num(c, &l.StartTimeout)
	num(c, &l.StopTimeout)
	num(c, &l.StopSignal)
	num(c, &l.KillMode)
	num(c, &l.HookTimeout)
}

func (h *Health) fields(c *coder) {
	num(c, &h.Kind)
	str(c, &h.Target)
	h.Command.fields(c)
	num(c, &h.ExpectStatus)
	num(c, &h.Interval)
	num(c, &h.Timeout)
	num(c, &h.Retries)
	num(c, &h.StartPeriod)
	yes(c, &h.ReportOnly)
	yes(c, &h.Once)
}

func (l *Logging) fields(c *coder) {
	num(c, &l.BufferLines)
	num(c, &l.BufferBytes)
	yes(c, &l.Chosen)
	yes(c, &l.Stdout)
	yes(c, &l.Ring)
	yes(c, &l.Syslog)
	yes(c, &l.None)
	yes(c, &l.MarkStarts)
	str(c, &l.File)
	num(c, &l.FileMax)
	num(c, &l.FileAge)
	num(c, &l.FileKeep)
	yes(c, &l.Compress)
	num(c, &l.Rate)
	str(c, &l.Forward)
}

func (t *Timer) fields(c *coder) {
	num(c, &t.Every)
	num(c, &t.OnBoot)
	num(c, &t.Jitter)
	maybe(c, &t.Calendar, func(c *coder, k *Calendar) { k.fields(c) })
	yes(c, &t.Persistent)
}

func (k *Calendar) fields(c *coder) {
	str(c, &k.text)
	num(c, &k.minutes)
	num(c, &k.hours)
	num(c, &k.days)
	num(c, &k.months)
	num(c, &k.weekdays)
	yes(c, &k.eitherDay)
}

func (t *Socket) fields(c *coder) {
	list(c, &t.Listen, func(c *coder, a *address.Address) {
		str(c, &a.Network)
		str(c, &a.Host)
		num(c, &a.Port)
		str(c, &a.Path)
		num(c, &a.Mode)
		str(c, &a.User)
		str(c, &a.Group)
	})
	strs(c, &t.Names)
	num(c, &t.Mode)
	str(c, &t.User)
	str(c, &t.Group)
	num(c, &t.Backlog)
	yes(c, &t.Accept)
	num(c, &t.MaxConnections)
}
