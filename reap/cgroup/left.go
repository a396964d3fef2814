package cgroup

import (
	"path/filepath"
	"strings"
)

// Left lists the groups of services in which a dead keeper has left processes, in no
// order. A tree in whose leaf anybody lives, a keeper or its server, is not looked into:
// whoever it is may have the same number in another PID namespace. That the keeper
// itself is dead, wherever it is now, is for the caller to know.
func (t *Tree) Left(keeper int) (dirs []string) {
	for _, root := range groupsBelow(filepath.Dir(t.root)) {
		leaf := filepath.Join(root, leafName)
		if _, ok := treeOf(leaf, keeper); !ok || root == t.root {
			continue
		}
		if lives, err := Populated(leaf); lives || err != nil {
			continue
		}
		for _, dir := range groupsBelow(root) {
			lives, err := Populated(dir)
			if strings.HasSuffix(dir, groupSuffix) && lives && err == nil {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// ServiceOf is the service whose group is at dir.
func ServiceOf(dir string) string { return strings.TrimSuffix(filepath.Base(dir), groupSuffix) }
