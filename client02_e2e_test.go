package main_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"zinit/sock/zinit"
)

// TestAProgramForTheGoClientOfZinit02Runs: the calls of its documentation, as they
// stand there, against a live server.
func TestAProgramForTheGoClientOfZinit02Runs(t *testing.T) {
	t.Parallel()
	in := startServer(t, nil)
	cl := zinit.New(in.socket).WithDir(in.config)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(cl.AddService("name", zinit.InitService{
		Exec: "sh -c 'exec sleep $Key'", // the command to be executed i.e the actual service
		Env: map[string]string{
			"Key": "1000",
		},
		Oneshot: false,
		After:   []string{},
	}))
	service, err := cl.LoadService("name")
	must(err)
	if service.Env["Key"] != "1000" {
		t.Errorf("%+v", service)
	}
	must(cl.Monitor("name"))
	if err := cl.Monitor("name"); !errors.Is(err, zinit.ErrAlreadyMonitored) {
		t.Error(err)
	}
	exists, err := cl.Exists("name")
	must(err)
	if !exists {
		t.Error("it does not exist")
	}
	must(cl.StartWait(time.Second*20, "name"))
	services, err := cl.List()
	must(err)
	if state := services["name"]; !state.Is(zinit.ServiceStateRunning) || len(services) != 1 {
		t.Errorf("%v", services)
	}
	cfg, err := cl.Get("name")
	must(err)
	if cfg.Exec != service.Exec {
		t.Errorf("%+v", cfg)
	}
	status, err := cl.Status("name")
	must(err)
	if exited := status.State.Exited(); exited || status.Pid == 0 || status.Target != zinit.ServiceTargetUp {
		t.Errorf("%+v", status)
	}
	version, err := cl.Version()
	must(err)
	if least, _ := zinit.ParseVersion("0.2.9"); version.LT(least) {
		t.Errorf("%v: clients would take a reboot for a shutdown", version)
	}
	// A service that is killed comes back.
	events := make(chan zinit.Event, 100)
	go func() {
		defer close(events)
		for e, err := range cl.Watch(t.Context(), "name") {
			if err != nil {
				return
			}
			events <- e
		}
	}()
	must(cl.Kill("name", zinit.SIGTERM))
	in.until("it comes back", func() (string, bool) {
		now, err := cl.Status("name")
		must(err)
		return now.State.String(), now.Pid != 0 && now.Pid != status.Pid && now.State.Is(zinit.ServiceStateRunning)
	})
	select {
	case e := <-events:
		if e.Service != "name" {
			t.Errorf("%+v", e)
		}
	case <-time.After(patience):
		t.Error("no event tells it")
	}
	must(cl.StopWait(time.Second*20, "name"))
	if status, err = cl.Status("name"); err != nil || !status.State.Exited() || status.Target != zinit.ServiceTargetDown || status.Pid != 0 {
		t.Errorf("%+v %v", status, err)
	}
	must(cl.Forget("name"))
	if _, err := cl.Status("name"); !errors.Is(err, zinit.ErrUnknownService) {
		t.Error(err)
	}
	must(cl.AddService("name2", zinit.InitService{Exec: "sh -c 'trap \"\" TERM; echo deaf; while :; do sleep 1000; done'", Log: zinit.RingLogType}))
	must(cl.StartMultiple(time.Second*20, "name", "name2"))
	in.until("it is deaf", func() (string, bool) {
		out := in.must("log", "-s", "name2")
		return out, len(out) > 50
	})
	filter1 := zinit.WithExec("sh")
	filter2 := zinit.WithName("name2")
	matched, err := cl.Matches(filter1, filter2)
	must(err)
	if !slices.Equal(matched, []string{"name2"}) {
		t.Error(matched)
	}
	must(cl.Destroy(time.Second/2, "name", "name2"))
	left, err := os.ReadDir(in.config)
	must(err)
	if services, err = cl.List(); err != nil || len(services) != 0 || len(left) != 0 {
		t.Errorf("%v %v %v", services, left, err)
	}
	must(cl.Shutdown())
	in.exit()
}
