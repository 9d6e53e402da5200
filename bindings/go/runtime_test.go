// SPDX-License-Identifier: MIT

package prefork_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

// Memory, the collector, sockets and children in a worker: what a forked child could not.
func TestWorkersCanDoWhatGoDoes(t *testing.T) {
	p := newPool(t, "go at work", prefork.WithWorkers(2)).run(context.Background())
	p.hearTasks(2)
	check(t, p.end())
}

// Children of the host's own keep their statuses while workers come and go.
func TestExecBesideAPool(t *testing.T) {
	p := newPool(t, "exit", prefork.WithWorkers(2), prefork.WithMaxRestarts(prefork.Unlimited),
		prefork.WithBackoff(5*time.Millisecond, 5*time.Millisecond),
		prefork.WithCommand("", nil, append(os.Environ(), programVar+"=exit", value("4"))))
	p.run(context.Background())
	restarted := make(chan int)
	go func() {
		restarts := 0
		for event := range p.events {
			restarts = event.Restarts
			select {
			case restarted <- restarts:
			default:
			}
		}
		close(restarted)
	}()
	go func() {
		for {
			if _, err := p.said.ReadString('\n'); err != nil {
				return
			}
		}
	}()
	rounds := 0
	for restarts := 0; restarts < 20; restarts = <-restarted {
		rounds++
		for _, err := range twentyAtOnce() {
			t.Error(err)
		}
	}
	t.Logf("%d children in %d rounds", 20*rounds, rounds)
	check(t, p.Kill())
	for range restarted {
	}
	<-p.ended
	check(t, p.err)
}

func twentyAtOnce() []error {
	var group sync.WaitGroup
	var all [20]error
	for i := range all {
		group.Add(1)
		code := i
		go func() {
			defer group.Done()
			err := exec.Command("/bin/sh", "-c", fmt.Sprintf("exit %d", code)).Run()
			var exit *exec.ExitError
			failed := errors.As(err, &exit)
			if code == 0 && err != nil || code > 0 && (!failed || exit.ExitCode() != code) {
				all[code] = fmt.Errorf("exit %d: %v", code, err)
			}
		}()
	}
	group.Wait()
	var failed []error
	for _, err := range all {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// The library leaves SIGCHLD to os/signal.
func TestChildSignalIsStillDelivered(t *testing.T) {
	received := make(chan os.Signal, 16)
	signal.Notify(received, syscall.SIGCHLD)
	defer signal.Stop(received)
	p := newPool(t, "idle", prefork.WithWorkers(1)).run(context.Background())
	p.hearTasks(1)
	check(t, p.SendSignal(0, syscall.SIGKILL))
	select {
	case <-received:
	case <-time.After(patience):
		t.Error("no SIGCHLD")
	}
	p.hearTasks(1)
	for len(received) > 0 {
		<-received
	}
	check(t, exec.Command("/bin/true").Run())
	select {
	case <-received:
	case <-time.After(patience):
		t.Error("no SIGCHLD for a child of the host's own")
	}
	check(t, p.end())
}

// A thread that has started workers may end. The kernel would take that for the parent's end.
func TestWorkersOutliveTheThreadThatStartedThem(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(2))
	p.events = p.Events()
	go func() {
		defer close(p.ended)
		p.err = p.RunFromThreadThatEnds()
	}()
	p.hearTasks(2)
	check(t, p.Resize(3)) // some time for a signal that must not come
	p.hearTasks(1)
	check(t, p.Stop())
	p.next(prefork.EventStopping, -1)
	for _, event := range p.seen {
		if event.Type == prefork.EventExited {
			t.Errorf("event %+v", event)
		}
	}
	check(t, p.result())
}

// What tells a worker that it is one is not told to its children.
func TestEnvironmentDoesNotLeak(t *testing.T) {
	p := newPool(t, "environment", prefork.WithWorkers(1),
		prefork.WithCommand("", nil,
			append(os.Environ(), programVar+"=environment", value("given"))))
	p.run(context.Background())
	if said := p.hear(); said != "false true -1 false" {
		t.Errorf("said %q", said)
	}
	check(t, p.end())
}

// Go raises its own limit on open files, but not that of its children, nor of a worker's.
func TestLimitOfOpenFiles(t *testing.T) {
	for set, expected := range map[string]string{"": "[100 400]", "set": "[200 300]"} {
		command := exec.Command("/bin/sh", "-c", `ulimit -Sn 100; ulimit -Hn 400; exec "$0"`,
			os.Args[0])
		command.Env = append(os.Environ(), programVar+"=limits", value("%s", set))
		p := startCommand(t, command)
		for _, process := range []string{"supervisor", "worker"} {
			if limits := p.line(`limits (.*)`)[1]; limits != expected+" false" {
				t.Errorf("a child of the %s has %s", process, limits)
			}
		}
		p.status()
	}
}

// A worker is started from the program's file as it is by then, and without one as it was.
func TestReplacedAndRemovedProgram(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	check(t, err)
	path := filepath.Join(t.TempDir(), "program")
	check(t, os.WriteFile(path, self, 0o700))
	command := exec.Command(path)
	command.Env = append(os.Environ(), programVar+"=own exec")
	p := startCommand(t, command)
	first := p.tasks(1)[0]
	check(t, os.Remove(path))
	check(t, syscall.Kill(first, syscall.SIGKILL))
	second := p.tasks(1)[0]
	check(t, os.WriteFile(path+".new", self, 0o700))
	check(t, os.Rename(path+".new", path))
	check(t, syscall.Kill(second, syscall.SIGKILL))
	third := p.tasks(1)[0]
	target, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", third))
	if err != nil || target != path {
		t.Errorf("the third runs %v, %v", target, err)
	}
	check(t, p.Process.Signal(syscall.SIGKILL))
	p.status()
	p.expectGone()
}

// As PID 1 a supervisor has workers whose parent is 1, and obeys SIGTERM.
func TestSupervisorAsFirstProcess(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), programVar+"=fork", value("2 0 stay"))
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWPID}
	if os.Getuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
	}
	probe := exec.Command("/bin/true")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: command.SysProcAttr.Cloneflags}
	if err := probe.Run(); err != nil {
		t.Skipf("no namespace of processes: %v", err)
	}
	p := startCommand(t, command)
	p.line("supervisor 1")
	p.tasks(2)
	check(t, p.Process.Signal(syscall.SIGTERM))
	if status := p.status(); status.ExitStatus() != 128+int(syscall.SIGTERM) {
		t.Errorf("status %#x", int(status))
	}
	p.expectGone()
}

// Signals control a pool that was made with WithSignals.
func TestStandardSignals(t *testing.T) {
	p := startProgram(t, "pool")
	workers := []string{`task 0 \d+`, `task 1 \d+`}
	before := p.all(append(workers, "event Ready 0 .*", "event Ready 1 .*")...)
	check(t, p.Process.Signal(syscall.SIGUSR1))
	p.all("used 0", "used 1")
	check(t, p.Process.Signal(syscall.SIGTTIN))
	p.all("event Resized -1 Resized to 3 processes", `task 2 \d+`, "event Ready 2 .*")
	check(t, p.Process.Signal(syscall.SIGTTOU))
	p.all("event Resized -1 Resized to 2 processes", "event Exited 2 .*")
	check(t, p.Process.Signal(syscall.SIGHUP))
	after := p.all(append(workers, "event Reloaded .*")...)
	if after[0] == before[0] || after[1] == before[1] {
		t.Errorf("%v were not replaced: %v", before, after)
	}
	check(t, p.Process.Signal(syscall.SIGTERM))
	p.line("done terminated")
	if status := p.status(); status != 0 {
		t.Errorf("status %v", status)
	}
	p.expectGone()
}

// A program that receives its signals by itself hands them on.
func TestHandleSignal(t *testing.T) {
	made := newPool(t, "deaf", prefork.WithWorkers(2))
	if err := made.HandleSignal(syscall.SIGTERM); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("not started: %v", err)
	}
	p := made.run(context.Background())
	p.hearTasks(2)
	for _, number := range []syscall.Signal{0, syscall.SIGKILL, syscall.SIGCHLD, syscall.SIGALRM} {
		if err := p.HandleSignal(number); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%v: %v", number, err)
		}
	}
	check(t, p.HandleSignal(syscall.SIGTTIN))
	if event := p.next(prefork.EventResized, -1); event.Message != "Resized to 3 processes" {
		t.Error(event.Message)
	}
	check(t, p.HandleSignal(syscall.SIGINT)) // which gives deaf workers a second at most
	if stopping := p.next(prefork.EventStopping, -1); stopping.Signal != syscall.SIGINT {
		t.Errorf("stopped by %v", stopping.Signal)
	}
	p.next(prefork.EventKilled, 0)
	check(t, p.result())
	if number := p.StopSignal(); number != syscall.SIGINT {
		t.Errorf("stopped by %v", number)
	}
}

func TestCloseEndsRun(t *testing.T) {
	p := newPool(t, "deaf", prefork.WithWorkers(2)).run(context.Background())
	pids := p.hearTasks(2)
	check(t, p.Close())
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("pid %d: %v", pid, err)
		}
	}
	if err := p.result(); !errors.Is(err, prefork.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// All methods may be called at the same time, also when the pool ends or is closed.
func TestMethodsAtTheSameTime(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(2)).run(context.Background())
	p.hearTasks(2)
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := 0; i < 8; i++ {
		group.Add(1)
		number := i
		go func() {
			defer group.Done()
			<-begin
			for round := 0; round < 50; round++ {
				p.WorkerPID(number % 2)
				p.WorkerState(number % 2)
				p.AliveCount()
				p.SendSignal(number%2, 0)
				if number == 0 && round == 25 {
					p.Stop()
				}
				if number == 1 && round == 49 {
					p.Close()
				}
			}
		}()
	}
	close(begin)
	group.Wait()
	if err := p.result(); err != nil && !errors.Is(err, prefork.ErrClosed) {
		t.Error(err)
	}
}

func TestContextThatIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p := newPool(t, "idle", prefork.WithWorkers(2)).run(ctx)
	check(t, p.result())
}

func TestServiceManagerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	check(t, err)
	defer manager.Close()
	check(t, manager.SetReadDeadline(time.Now().Add(patience)))
	await := func(message string) {
		t.Helper()
		for text := make([]byte, 4096); ; {
			length, err := manager.Read(text)
			check(t, err)
			if string(text[:length]) == message {
				return
			}
		}
	}
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "100000")
	p := newPool(t, "idle", prefork.WithWorkers(2), prefork.WithManagerNotify()).run(context.Background())
	await("READY=1")
	await("WATCHDOG=1")
	check(t, p.Stop())
	await("STOPPING=1")
	check(t, p.result())
}

func TestHeartbeats(t *testing.T) {
	p := newPool(t, "heartbeats", prefork.WithWorkers(1),
		prefork.WithHeartbeatTimeout(100*time.Millisecond),
		prefork.WithCommand("", nil, append(os.Environ(), programVar+"=heartbeats",
			"GOTRACEBACK=none"))).run(context.Background())
	p.hearTasks(1)
	p.next(prefork.EventUnresponsive, 0)
	// Go makes an exit of SIGABRT.
	if exited := p.next(prefork.EventExited, 0); exited.ExitCode == 0 || !exited.WillRestart {
		t.Errorf("event %+v", exited)
	}
	p.hearTasks(1)
	check(t, p.Kill())
	check(t, p.result())
}

func TestNamesOfPools(t *testing.T) {
	p := newPool(t, "two pools", prefork.WithWorkers(1), prefork.WithName("b"))
	p.run(context.Background())
	if said := p.hear(); said != "true b 0" {
		t.Errorf("said %q", said)
	}
	check(t, p.end())
	inner := newPool(t, "inner pools", prefork.WithWorkers(1)).run(context.Background())
	for _, expected := range []string{"0 true true", "true"} {
		if said := inner.hear(); said != expected {
			t.Errorf("said %q", said)
		}
	}
	check(t, inner.end())
	if name, ok := prefork.WorkerPool(); name != "" || ok {
		t.Errorf("this is no worker of %q", name)
	}
}
