package config

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Limits is the [limits] table: what the control group of a service may use.
// What is 0 has no limit.
type Limits struct {
	MemoryMax, MemoryHigh int64 // bytes
	// MemoryMaxPercent and MemoryHighPercent are parts of the machine's memory, 1 to
	// 100, to be resolved at the start. Where one is given, the bytes are 0.
	MemoryMaxPercent, MemoryHighPercent int
	CPUQuota                            int64 // thousandths of one CPU
	CPUWeight                           int64 // 1 to 10000
	TasksMax                            int64
}

const (
	minMemory    = 64 << 10 // bytes: with less no program can be executed
	minCPUQuota  = 10       // thousandths: the kernel takes no less
	maxCPUQuota  = 10000 * 1000
	maxCPUWeight = 10000
	maxTasks     = 1 << 22 // the most pids that there can be
)

// percent reads "80%" or "12.5%" as thousandths.
func percent(text string) (thousandths int64, ok bool) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	whole, tenth, _ := strings.Cut(strings.TrimSpace(number), ".")
	if len(tenth) == 0 && !strings.HasSuffix(number, ".") {
		tenth = "0"
	}
	n, err := strconv.ParseUint(whole+tenth, 10, 32)
	return int64(n), ok && err == nil && len(tenth) == 1 && whole != ""
}

// inPercent is what percent reads.
func inPercent(thousandths int64) string {
	text := strconv.FormatInt(thousandths/10, 10)
	if tenth := thousandths % 10; tenth != 0 {
		text += "." + strconv.FormatInt(tenth, 10)
	}
	return text + "%"
}

// memory takes a size, or a part of the machine's memory.
func (v value) memory() (bytes int64, part int) {
	text, isText := v.entry.value.(string)
	if !isText || !strings.Contains(text, "%") {
		bytes, _ = v.size(minMemory)
		return bytes, 0
	}
	n, ok := percent(text)
	if !ok || n < 10 || n > 1000 || n%10 != 0 {
		v.fail("%s is not a part of the memory: write \"1%%\" to \"100%%\", or a size such as \"512M\"", quoted(text))
		return 0, 0
	}
	return 0, int(n / 10)
}

// inMemory is what memory takes, nil for no limit.
func inMemory(bytes int64, part int) any {
	if part > 0 {
		return inPercent(int64(part) * 10)
	}
	return orUnset(bytes)
}

// orUnset is n, nil for 0.
func orUnset(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// setCPUQuota takes limits.cpu_quota.
func setCPUQuota(s *Service, v value) {
	text, isText := v.entry.value.(string)
	n, ok := percent(text)
	switch {
	case !isText:
		meant := "80%"
		if n, ok := v.entry.value.(int64); ok && n > 0 {
			meant = plain(n) + "%"
		}
		v.fail("must be a percentage of one CPU in quotes, not %s: write cpu_quota = %s", describe(v.entry.value), inQuotes(meant))
	case !ok:
		v.fail("%s is not a percentage of one CPU: write one such as \"80%%\", or \"250%%\" for two and a half", quoted(text))
	case n < minCPUQuota:
		v.fail("%s is too little: the kernel takes 1%% or more", quoted(text))
	case n > maxCPUQuota:
		v.fail("%s is too large: write at most %s", quoted(text), inQuotes(inPercent(maxCPUQuota)))
	default:
		s.Limits.CPUQuota = n
	}
}

func getCPUQuota(s *Service) any {
	if s.Limits.CPUQuota == 0 {
		return nil
	}
	return inPercent(s.Limits.CPUQuota)
}

// Unlimited is the Soft or Hard of an [Rlimit] that does not limit.
const Unlimited = uint64(math.MaxUint64)

// An Rlimit is a row of the [rlimits] table.
type Rlimit struct {
	Resource   int    // RLIMIT_*, by its number on Linux
	Soft, Hard uint64 // Soft <= Hard
}

// rlimitNames holds the names of resource limits by their numbers on Linux.
var rlimitNames = [...]string{
	"cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks",
	"sigpending", "msgqueue", "nice", "rtprio", "rttime",
}

// RlimitName returns the name of a resource limit by its number on Linux, as the
// [rlimits] table has it.
func RlimitName(resource int) string {
	if resource >= 0 && resource < len(rlimitNames) {
		return rlimitNames[resource]
	}
	return "limit " + strconv.Itoa(resource)
}

const unlimitedWord = "unlimited"

// rlimit takes a number, a size, "unlimited", or two of them as "soft:hard".
func setRlimit(s *Service, v value) {
	if n, ok := v.entry.value.(int64); ok {
		v.entry.value = strconv.FormatInt(n, 10)
	}
	text, ok := v.entry.value.(string)
	if !ok {
		v.fail("must be a number, \"unlimited\" or \"SOFT:HARD\", not %s: write %s = 1024", describe(v.entry.value), v.short())
		return
	}
	soft, hard, both := strings.Cut(text, ":")
	if !both {
		hard = soft
	}
	r := Rlimit{Resource: slices.Index(rlimitNames[:], v.row.name)}
	var good, alsoGood bool
	r.Soft, good = rlimitNumber(soft)
	r.Hard, alsoGood = rlimitNumber(hard)
	switch {
	case !good || !alsoGood:
		v.fail("%s is not a limit: write a number, \"unlimited\", or \"SOFT:HARD\" such as \"1024:4096\"", quoted(text))
	case r.Soft > r.Hard:
		v.fail("%s has a soft limit above the hard one: write the smaller one first", quoted(text))
	default:
		at, _ := slices.BinarySearchFunc(s.Setup.Rlimits, r, func(a, b Rlimit) int { return a.Resource - b.Resource })
		s.Setup.Rlimits = slices.Insert(s.Setup.Rlimits, at, r)
	}
}

func rlimitNumber(text string) (uint64, bool) {
	text = strings.TrimSpace(text)
	if text == unlimitedWord || text == "infinity" {
		return Unlimited, true
	}
	n, ok := sizeOf(text)
	return uint64(n), ok
}

// rlimit is what setRlimit takes, nil when it is not given.
func rlimit(s *Service, name string) any {
	resource := slices.Index(rlimitNames[:], name)
	for _, r := range s.Setup.Rlimits {
		switch {
		case r.Resource != resource:
		case r.Soft == r.Hard && r.Soft != Unlimited:
			return int64(r.Soft)
		case r.Soft == r.Hard:
			return unlimitedWord
		default:
			return rlimitText(r.Soft) + ":" + rlimitText(r.Hard)
		}
	}
	return nil
}

func rlimitText(n uint64) string {
	if n == Unlimited {
		return unlimitedWord
	}
	return strconv.FormatUint(n, 10)
}
