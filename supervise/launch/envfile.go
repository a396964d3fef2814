package launch

import (
	"errors"
	"fmt"
	"os"

	"zinit/supervise/config"
)

// readEnvFiles reads them in order.
func readEnvFiles(files []config.EnvFile) (list []string, err error) {
	for _, f := range files {
		text, err := readBounded(f.Path, config.MaxFile)
		switch {
		case errors.Is(err, os.ErrNotExist) && f.Optional:
			continue
		case errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("env_file %s does not exist: write it, or put a - in front of the path", f.Path)
		case err != nil:
			return nil, fmt.Errorf("cannot read env_file %s: %w: correct the path, or its mode", f.Path, reason(err))
		}
		variables, err := config.ParseEnvFile([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("env_file %s, %w", f.Path, err)
		}
		list = append(list, variables...)
	}
	return list, nil
}
