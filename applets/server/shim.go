package server

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"zinit/supervise/config"
)

// configPlaces stands for config.Dirs until that lands.
type configPlaces struct{ System, User, Ephemeral string }

func loadDirs(d configPlaces) (*config.Set, error) {
	set, err := config.LoadDir(d.User)
	if err == nil && d.System != "" {
		set, err = config.LoadDirs(d.System, d.User)
	}
	if err != nil || d.Ephemeral == "" {
		return set, err
	}
	more, err := config.LoadDir(d.Ephemeral)
	if err == nil {
		set.Services = append(set.Services, more.Services...)
	}
	return set, nil
}

func saveFile(dir string, s *config.Service) (path, kept string, err error) {
	path = filepath.Join(dir, s.Name+".toml")
	return path, "", os.WriteFile(path, config.Render(s), 0o644)
}

func unlinkFile(dir, name string) (string, error) {
	path := filepath.Join(dir, name+".toml")
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return path, err
}
