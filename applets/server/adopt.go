package server

import (
	"cmp"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/logs"
)

// watchName is the name under which the keeper holds the watch over the log stores.
const watchName = "watch"

// watchLogs has the log stores made anew when they are deleted, with the watch of the
// last server if there was one. stirred is called when something was deleted.
func watchLogs(store *logs.Logs, left *os.File, keeper holder, stirred func(), log *slog.Logger) {
	watch, err := store.Watch(left, stirred)
	if watch != nil && left == nil {
		err = keeper.Keep(watchName, watch)
	}
	for _, f := range []*os.File{watch, left} {
		if f != nil {
			f.Close()
		}
	}
	if err != nil {
		log.Debug("the directory of the log stores is not watched, or not for long", "error", err)
	}
}

// adoptOutputs takes over the output pipes of services that an earlier server
// started. What has the name of a pipe and is none is of no use to anybody.
func adoptOutputs(store *logs.Logs, inv reap.Inventory, release func(name string)) {
	var outputs []output
	for name, f := range inv.Kept {
		if !strings.HasPrefix(name, "out/") {
			continue
		}
		o, ok := parseOutput(name)
		if !ok {
			f.Close()
			release(name)
			continue
		}
		o.file = f
		outputs = append(outputs, o)
	}
	// The last words of a run come before the first of the next. Of an earlier run
	// than the last the main process is gone, or there would be no later one.
	slices.SortFunc(outputs, output.compare)
	for i, o := range outputs {
		store.Adopt(o.service, o.run, o.fd, o.file)
		lastOfRun := i == len(outputs)-1 || outputs[i+1].service != o.service || outputs[i+1].run != o.run
		if lastOfRun && o.run < inv.Runs[o.service] {
			store.Ended(o.service, o.run)
		}
	}
	for _, e := range inv.Exits {
		store.Ended(e.Key, e.Run)
	}
}

// An output is the read end of descriptor fd of a run.
type output struct {
	service string
	run     uint64
	fd      int
	file    *os.File
}

func (o output) compare(p output) int {
	return cmp.Or(cmp.Compare(o.service, p.service), cmp.Compare(o.run, p.run), cmp.Compare(o.fd, p.fd))
}

// parseOutput undoes reap.OutputName.
func parseOutput(name string) (o output, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || config.CheckName(parts[1]) != nil {
		return output{}, false
	}
	run, err := strconv.ParseUint(parts[2], 10, 64)
	for _, fd := range []int{1, 2} {
		if err == nil && name == reap.OutputName(parts[1], run, fd) {
			return output{service: parts[1], run: run, fd: fd}, true
		}
	}
	return output{}, false
}
