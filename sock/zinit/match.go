package zinit

import (
	"path/filepath"
	"regexp"
	"strings"

	"zinit/supervise/config/words"
)

// A Filter tells services apart for Matches.
type Filter interface {
	matches(name string, service *InitService) bool
}

type filterFunc func(name string, service *InitService) bool

func (f filterFunc) matches(name string, service *InitService) bool { return f(name, service) }

// WithName matches the service name.
func WithName(name string) Filter {
	return filterFunc(func(is string, _ *InitService) bool { return is == name })
}

// WithExec matches the exec basename.
func WithExec(basename string) Filter {
	return filterFunc(func(_ string, service *InitService) bool {
		list, err := words.Split(service.Exec)
		if err != nil || len(list) == 0 {
			list = append(strings.Fields(service.Exec), "")
		}
		return filepath.Base(list[0]) == basename
	})
}

// WithExecRegex matches the exec if it matches the given regular expression. Note that
// it has to be a valid regular expression, otherwise it won't be matched.
func WithExecRegex(regex string) Filter {
	re, err := regexp.Compile(regex)
	return filterFunc(func(_ string, service *InitService) bool { return err == nil && re.MatchString(service.Exec) })
}

// Matches searches for services. A service will be matched if all (not some) filters
// match this service.
func (c *Client) Matches(filters ...Filter) ([]string, error) {
	services, err := c.List()
	if err != nil {
		return nil, err
	}
	var matched []string
next:
	for name := range services {
		service, err := c.Get(name)
		if err != nil {
			return nil, err
		}
		for _, filter := range filters {
			if !filter.matches(name, &service) {
				continue next
			}
		}
		matched = append(matched, name)
	}
	return matched, nil
}
