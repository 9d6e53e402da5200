// SPDX-License-Identifier: MIT

package prefork_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

func init() {
	programs["upgrade"] = superviseUpgrade
	if os.Getenv(programVar) == "upgrade" {
		runtime.LockOSThread() // Upgrade needs the main thread
	}
}

// superviseUpgrade is a server that SIGALRM upgrades.
func superviseUpgrade() {
	listener, err := prefork.Listen("tcp", "127.0.0.1:0")
	must(err)
	made, err := prefork.New(prefork.WithName("web"), prefork.WithWorkers(2), prefork.WithSignals(),
		prefork.WithReadyTimeout(patience), prefork.WithLogger(quiet))
	must(err)
	printed := make(chan struct{})
	if prefork.TaskID() == -1 {
		printSupervisor(listener.Addr())
		events := made.Events()
		go func() {
			defer close(printed)
			for event := range events {
				fmt.Println("event", event.Type, event.WorkerCount, event.Message)
			}
		}()
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGALRM)
		go func() {
			for range asked {
				fmt.Println("failed", made.Upgrade(os.Getenv(valueVar), nil, nil))
			}
		}()
	}
	taskID, err := made.Run(context.Background())
	must(err)
	if taskID >= 0 {
		must(prefork.ServeHTTP(context.Background(), &http.Server{Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, "Hello from %d, version %d\n", taskID, os.Getpid())
			})}, listener))
		return
	}
	<-printed
	fmt.Println("done", made.StopSignal())
}

// printSupervisor prints what an upgrade must not change.
func printSupervisor(address fmt.Stringer) {
	var limit syscall.Rlimit
	must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	child, err := exec.Command("/bin/sh", "-c",
		"grep SigBlk /proc/self/status; ulimit -Sn; env | grep -c -e '^PF_' -e '^PREFORK_GO'; :").Output()
	must(err)
	fmt.Printf("supervisor %s %d %d %s %d\n", address, os.Getpid(), limit.Cur,
		strings.Join(strings.Fields(string(child)), " "), len(descriptors()))
}

// Five upgrades under load lose no request, and keep the process, its workers and its descriptors.
func TestUpgradeLosesNoRequest(t *testing.T) {
	command := exec.Command("/bin/sh", "-c", `ulimit -Sn 300; exec "$0"`, os.Args[0])
	command.Env = append(os.Environ(), programVar+"=upgrade")
	p := startCommand(t, command)
	before := p.line(`supervisor (.*) \d+`)[1]
	open := ""
	p.all("event Ready .*", "event Ready .*")
	address, _, _ := strings.Cut(before, " ")
	asked := startLoad("http://"+address+"/", 8)
	workers := fmt.Sprint(pidsOf(p.Process.Pid))
	for i := 0; i < 5; i++ {
		good := asked.good.Load()
		eventually(t, "requests are answered", func() bool { return asked.good.Load() > good+100 })
		check(t, p.Process.Signal(syscall.SIGALRM))
		now := p.line(`supervisor (.*) (\d+)`)
		if now[1] != before {
			t.Errorf("%s after an upgrade, %s before", now[1], before)
		}
		if open != "" && now[2] != open {
			t.Errorf("%s open descriptors after an upgrade, %s before", now[2], open)
		}
		open = now[2] // with those of the pool, which the first program had not opened yet
		p.line(`event Adopted \d+ .*`)
		if after := fmt.Sprint(pidsOf(p.Process.Pid)); after != workers {
			t.Errorf("workers %s after an upgrade, %s before", after, workers)
		}
		check(t, p.Process.Signal(syscall.SIGHUP)) // the workers are of the new program, too
		p.line(`event Reloaded .*`)
		eventually(t, "the old workers have ended", func() bool {
			return len(pidsOf(p.Process.Pid)) == 2
		})
		workers = fmt.Sprint(pidsOf(p.Process.Pid))
	}
	asked.done.Store(true)
	asked.group.Wait()
	t.Logf("5 upgrades, %d requests answered, %d failed", asked.good.Load(), asked.failed.Load())
	if asked.failed.Load() != 0 {
		t.Errorf("%d requests failed: %v", asked.failed.Load(), asked.first)
	}
	check(t, p.Process.Signal(syscall.SIGTERM))
	p.line("done terminated")
	p.status()
	p.expectGone()
}

// A signal that comes during an upgrade stops the old program, or the new one.
func TestSignalDuringAnUpgradeIsNotLost(t *testing.T) {
	graceful := 0
	for i := 0; i < 10; i++ {
		p := startProgram(t, "upgrade")
		p.all("event Ready .*", "event Ready .*")
		check(t, p.Process.Signal(syscall.SIGALRM))
		time.Sleep(time.Duration(i%5) * 500 * time.Microsecond)
		check(t, p.Process.Signal(syscall.SIGTERM))
		lines := p.rest()
		if lines[len(lines)-1] == "done terminated" {
			graceful++
		}
		// It may come before Go's runtime can tell the program of it.
		if status := p.status(); status != 0 && status.Signal() != syscall.SIGTERM {
			t.Errorf("status %v", status)
		}
		p.expectGone()
	}
	t.Logf("%d of 10 stops were graceful", graceful)
}

// A program that cannot be executed changes nothing.
func TestFailedUpgrade(t *testing.T) {
	p := startProgram(t, "upgrade", value("/does/not/exist"))
	p.all("event Ready .*", "event Ready .*")
	before := len(pidsOf(p.Process.Pid))
	check(t, p.Process.Signal(syscall.SIGALRM))
	p.line(`failed prefork: Upgrade\(/does/not/exist\): no such file or directory`)
	if after := len(pidsOf(p.Process.Pid)); after != before {
		t.Errorf("%d workers", after)
	}
	check(t, p.Process.Signal(syscall.SIGTERM))
	p.line("done terminated")
	p.status()
}

// Another thread than the main one cannot execute a program.
func TestUpgradeOutsideOfTheMainThread(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(1))
	if err := p.Upgrade("", nil, nil); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("before Run: %v", err)
	}
	p.events = p.Events()
	locked := make(chan struct{})
	run := func() {
		defer close(p.ended)
		close(locked)
		_, p.err = p.Run(context.Background())
	}
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() { // another goroutine is given another thread
			go func() {
				runtime.LockOSThread()
				run()
			}()
			return
		}
		run()
	}()
	<-locked
	p.hearTasks(1)
	if err := p.Upgrade("", nil, nil); !errors.Is(err, syscall.EPERM) {
		t.Errorf("in another thread: %v", err)
	}
	if err := p.Upgrade("a\x00b", nil, nil); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("with a NUL byte: %v", err)
	}
	check(t, p.end())
}
