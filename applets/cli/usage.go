package cli

import (
	"fmt"
	"strings"
	"time"

	"zinit/sock"
)

// printUsage prints what the processes of a service use, with the limits that are in
// force, and then those that are not.
func (s *session) printUsage(r *sock.ServiceStatusFull) {
	limits := map[string]int64{}
	for _, l := range r.Limits {
		if l.InForce {
			limits[l.Name] = l.Value
		}
	}
	u := r.Usage
	if u == nil {
		u = &sock.Usage{}
	}
	var cpu, memory, tasks phrases
	if u.CPUFrom != "" && (u.Tasks > 0 || u.CPUUsec > 0) {
		cpu.add(about(u.CPUFrom) + worked(time.Duration(u.CPUUsec)*time.Microsecond))
	}
	if n := limits["cpu_quota"]; n > 0 {
		cpu.add("limit " + percent(n))
	}
	if n := limits["cpu_weight"]; n > 0 {
		cpu.add(fmt.Sprintf("weight %d", n))
	}
	if u.MemoryFrom != "" && u.Tasks > 0 {
		memory.add(about(u.MemoryFrom) + size(u.MemoryBytes))
	}
	if u.MemoryPeakBytes > 0 {
		memory.add("peak " + size(u.MemoryPeakBytes))
	}
	if n := limits["memory_high"]; n > 0 {
		memory.add("slowed from " + size(n))
	}
	if n := limits["memory_max"]; n > 0 {
		memory.add("limit " + size(n))
	}
	if u.OOMKills > 0 {
		memory.add(fmt.Sprintf("%d killed for want of it", u.OOMKills))
	}
	if u.Tasks > 0 {
		tasks.add(fmt.Sprint(u.Tasks))
	}
	if n := limits["tasks_max"]; n > 0 {
		tasks.add(fmt.Sprintf("limit %d", n))
	}
	s.field("CPU", cpu.String())
	s.field("Memory", s.hang(9, memory.String()))
	s.field("Tasks", tasks.String())
	s.field("Limits", s.notInForce(r))
}

// phrases is parts of a line.
type phrases []string

func (p *phrases) add(text string) { *p = append(*p, text) }

func (p phrases) String() string { return strings.Join(p, ", ") }

// about marks a figure that is a sum over processes, and not exact.
func about(from string) string {
	if from == sock.FromProc {
		return "about "
	}
	return ""
}

// notInForce names the limits that are not in force, those of one reason together.
func (s *session) notInForce(r *sock.ServiceStatusFull) string {
	var whys []string
	names := map[string]phrases{}
	for _, l := range r.Limits {
		if l.InForce {
			continue
		}
		// Where its cgroup is stands below.
		why := l.Why
		if above, _, _ := cutLast(r.Cgroup, "/"); above != "" {
			why = strings.TrimSuffix(why, " in "+above)
		}
		if names[why] == nil {
			whys = append(whys, why)
		}
		names[why] = append(names[why], l.Name)
	}
	lines := make([]string, len(whys))
	for i, why := range whys {
		lines[i] = s.hang(9, escape(names[why].String()+" not in force: "+why))
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", 9))
}

// cutLast is strings.Cut at the last separator.
func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return text, "", false
}

// worked shows processor time: 0.12s, 1m30s, 2h5m.
func worked(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.2fs", d.Truncate(10*time.Millisecond).Seconds())
	}
	return span(d)
}

// percent shows thousandths.
func percent(n int64) string {
	if n%10 != 0 {
		return fmt.Sprintf("%d.%d%%", n/10, n%10)
	}
	return fmt.Sprintf("%d%%", n/10)
}

// size shows bytes as a configuration has them, with a decimal: 340K, 1.2M, 512M.
func size(n int64) string {
	units := "KMGT"
	if n < 1024 {
		return fmt.Sprint(n)
	}
	x := float64(n) / 1024
	for len(units) > 1 && x >= 999.95 {
		x, units = x/1024, units[1:]
	}
	text := fmt.Sprintf("%.1f", x)
	return strings.TrimSuffix(text, ".0") + units[:1]
}
