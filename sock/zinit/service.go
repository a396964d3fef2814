package zinit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"zinit/sock"
	"zinit/supervise/config/yaml"
)

// LogType is an enum type.
type LogType string

// All the types of logging supported by zinit.
const (
	StdoutLogType LogType = "stdout"
	RingLogType   LogType = "ring"
	NoneLogType   LogType = "none"
)

// UnmarshalYAML implements the yaml.Unmarshaler interface.
func (s *LogType) UnmarshalYAML(unmarshal func(interface{}) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return err
	}
	switch l := LogType(strings.ToLower(text)); l {
	case StdoutLogType, RingLogType, NoneLogType:
		*s = l
	case "", "null":
		*s = NoneLogType
	default:
		return fmt.Errorf("invalid log type: %s", text)
	}
	return nil
}

// InitService represents a zinit service file.
type InitService struct {
	Exec    string            `yaml:"exec,omitempty"`
	Oneshot bool              `yaml:"oneshot,omitempty"`
	Test    string            `yaml:"test,omitempty"`
	After   []string          `yaml:"after,omitempty"`
	Env     map[string]string `yaml:"env,omitempty"`
	Log     LogType           `yaml:"log,omitempty"`
}

// files is a directory of service files.
type files string

// servicesDir is where zinit 0.2 has them.
const servicesDir files = "/etc/zinit"

// path is the file of a service. No name leads out of the directory.
func (d files) path(name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return "", fmt.Errorf("%q cannot be the name of a service", name)
	}
	return filepath.Join(string(d), name+".yaml"), nil
}

// AddService writes the service into a file in the expected location for zinit. You
// usually want to call Monitor(name) after adding a service.
func AddService(name string, service InitService) error { return servicesDir.add(name, service) }

// RemoveService deletes the service file from the file system. Make sure the service
// has been stopped and forgotten before deleting it.
func RemoveService(name string) error { return servicesDir.remove(name) }

// LoadService loads a service from a file. Use it to do modifications or inspect the
// service definition before writing it again.
func LoadService(name string) (service InitService, err error) { return servicesDir.load(name) }

// AddService is the function of that name, for the directory of the client.
func (c *Client) AddService(name string, service InitService) error {
	return c.files.add(name, service)
}

// RemoveService is the function of that name, for the directory of the client.
func (c *Client) RemoveService(name string) error { return c.files.remove(name) }

// LoadService is the function of that name, for the directory of the client.
func (c *Client) LoadService(name string) (service InitService, err error) {
	return c.files.load(name)
}

// add writes a file as one step: who reads it sees the old one or the new one.
func (d files) add(name string, service InitService) (err error) {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	text, err := yaml.Marshal(service)
	if err != nil {
		return fmt.Errorf("cannot encode service %s: %w", name, err)
	}
	f, err := os.CreateTemp(string(d), ".zinit-*.new")
	if err != nil {
		return fmt.Errorf("cannot write service %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first failure is what counts
			err = fmt.Errorf("cannot write service %s: %w", name, err)
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o640)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

func (d files) remove(name string) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove service %s: %w", name, err)
	}
	return nil
}

func (d files) load(name string) (service InitService, err error) {
	path, err := d.path(name)
	if err != nil {
		return service, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return service, fmt.Errorf("cannot read service %s: %w", name, err)
	}
	if err := yaml.Unmarshal(text, &service); err != nil {
		return service, fmt.Errorf("cannot read service %s: %w", name, err)
	}
	return service, nil
}

// Get gets the service info: what is in its file. Of a service without such a file the
// server is asked.
func (c *Client) Get(service string) (InitService, error) {
	if _, err := c.Status(service); err != nil {
		return InitService{}, err
	}
	info, err := c.files.load(service)
	if !errors.Is(err, fs.ErrNotExist) {
		return info, err
	}
	client, dialed := sock.Dial(c.ctx, c.socket)
	if dialed != nil {
		return InitService{}, err
	}
	defer client.Close()
	full, asked := client.Get(c.ctx, service)
	if asked != nil {
		return InitService{}, err
	}
	info = InitService{Exec: full.Service.Exec, Oneshot: full.Service.Oneshot, Env: full.Service.Env}
	for _, names := range []sock.Names{full.Dependencies.Awaits, full.Dependencies.Requires, full.Dependencies.After} {
		info.After = append(info.After, names...)
	}
	if h := full.Health; h != nil && h.Type == "exec" {
		info.Test = h.Target
	}
	return info, nil
}
