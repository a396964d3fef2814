package server

import (
	"log/slog"
	"os"

	"zinit/reap"
	"zinit/reap/cgroup"
	"zinit/supervise/launch"
)

// newLauncher prepares processes for the keeper. Without cgroups services run too, but
// who leaves its group is lost sight of, and nothing is limited.
func newLauncher(keeper *reap.Client, log *slog.Logger) *launch.Launcher {
	tree, err := cgroup.Find()
	if err != nil {
		log.Info("services have no cgroups: " + err.Error())
	}
	return launch.New(launch.Options{
		Keeper: keeper, Urgent: keeper.Urgent(), Environ: heritage(os.Environ()),
		Tree: tree, NoTree: err, Log: log,
	})
}
