// SPDX-License-Identifier: MIT

package prefork_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

func init() {
	programs["retire"] = workerRetire
	programs["foreign"] = workerForeign
}

// workerRetire asks for its replacement at once, in its first life.
func workerRetire() {
	taskID := takeTask()
	must(prefork.Ready())
	say("%d %d", taskID, os.Getpid())
	must(prefork.Retire())
	untilStopped()
}

// workerForeign reports as a service of systemd.
func workerForeign() {
	connection, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	must(err)
	_, err = connection.Write([]byte("READY=1"))
	must(err)
	if prefork.TaskID() != -1 || !errors.Is(prefork.Ready(), syscall.ECHILD) {
		must(errors.New("it is a worker of this library"))
	}
	select {}
}

func TestSpareTakesTheSlotOfAKilledWorker(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(1), prefork.WithSpares(1)).run(context.Background())
	first := p.hearTasks(1)
	spare := p.next(prefork.EventSpareStarted, -1)
	if spare.TaskID != prefork.TaskSpare || spare.PID == 0 {
		t.Errorf("event %+v", spare)
	}
	eventually(t, "there is a spare", func() bool {
		return p.Counter(prefork.CountSpares) == 1
	})
	check(t, syscall.Kill(first[0], syscall.SIGKILL))
	p.next(prefork.EventExited, 0)
	if second := p.hearTasks(1); second[0] != spare.PID {
		t.Errorf("%d has the slot instead of the spare %d", second[0], spare.PID)
	}
	p.next(prefork.EventSpareStarted, -1)
	check(t, p.SetSpares(0))
	// It may not wait yet, and then dies of the signal.
	if event := p.next(prefork.EventSpareExited, -1); event.Reason != prefork.ReasonResize {
		t.Errorf("event %+v", event)
	}
	if err := p.SetSpares(-1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("-1 spares: %v", err)
	}
	if count := p.Counter(prefork.CountRestarted); count != 1 {
		t.Errorf("%d restarts", count)
	}
	check(t, p.end())
}

func TestForeignWorkersReportAsServices(t *testing.T) {
	p := newPool(t, "foreign", prefork.WithWorkers(2), prefork.WithForeignWorkers(),
		prefork.WithReadyTimeout(patience)).run(context.Background())
	p.next(prefork.EventReady, -1)
	p.next(prefork.EventReady, -1)
	check(t, p.Reload())
	p.next(prefork.EventReloaded, -1)
	check(t, p.end())
}

func TestRetiredWorkerIsReplaced(t *testing.T) {
	p := newPool(t, "retire", prefork.WithWorkers(1), prefork.WithMinUptime(0),
		prefork.WithReadyTimeout(patience)).run(context.Background())
	p.hearTasks(1)
	exited := p.next(prefork.EventExited, 0)
	if exited.Reason != prefork.ReasonRetire || exited.Reason.String() != "Retire" {
		t.Errorf("event %+v", exited)
	}
	check(t, p.end())
}

func TestStoppedWorkerIsNotRestarted(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(2)).run(context.Background())
	p.hearTasks(2)
	check(t, p.StopWorker(1))
	exited := p.next(prefork.EventExited, 1)
	if exited.WillRestart || exited.Reason != prefork.ReasonStop {
		t.Errorf("event %+v", exited)
	}
	check(t, p.ReplaceWorker(1))
	p.hearTasks(1)
	check(t, p.end())
}

func TestProgramThatCannotStartGivesUp(t *testing.T) {
	p := newPool(t, "exit", prefork.WithWorkers(1), prefork.WithBootLimit(2),
		prefork.WithReadyTimeout(patience),
		prefork.WithCommand("", nil, append(os.Environ(), programVar+"=exit", value("3"))))
	if err := p.run(context.Background()).result(); !errors.Is(err, prefork.ErrGaveUp) {
		t.Errorf("error %v", err)
	}
}

func TestErrorsNameTheSettingAndItsValue(t *testing.T) {
	for expected, option := range map[string]prefork.Option{
		"WithWorkers(65537): invalid argument":         prefork.WithWorkers(65537),
		"WithWorkers(1099511627776): invalid argument": prefork.WithWorkers(1 << 40),
		"WithReadyTimeout(-1ns): invalid argument":     prefork.WithReadyTimeout(-1),
		"WithBackoff(2s, 1s): invalid argument":        prefork.WithBackoff(2*time.Second, time.Second),
		"WithFile(\"a:b\"): invalid argument":          prefork.WithFile("a:b", os.Stdin),
		"WithFile(\"a\", nil): invalid argument":       prefork.WithFile("a", nil),
		"WithName(\"a\\x00b\"): invalid argument":      prefork.WithName("a\x00b"),
		"WithFile(\"a\\x00b\"): invalid argument":      prefork.WithFile("a\x00b", os.Stdin),
		"WithParentDeathSignal(99): invalid argument":  prefork.WithParentDeathSignal(99),
		"WithSpares(-1): invalid argument":             prefork.WithSpares(-1),
		"WithStop(99, 1s): invalid argument":           prefork.WithStop(99, time.Second),
		"WithStop(-1ns): invalid argument":             prefork.WithStop(syscall.SIGTERM, -1),
		"WithRestartWindow(0, 1s): invalid argument":   prefork.WithRestartWindow(0, time.Second),
		"WithExitAction(1, 9): invalid argument":       prefork.WithExitAction(1, 9),
		"WithExitAction(256, 2): invalid argument":     prefork.WithExitAction(256, prefork.ExitDone),
	} {
		_, err := prefork.New(option)
		if !errors.Is(err, syscall.EINVAL) || err.Error() != "prefork: "+expected {
			t.Errorf("%v instead of %s", err, expected)
		}
	}
	for expected, option := range map[string]prefork.Option{
		"WithCommand(\"/a\\x00b\"): invalid argument":   prefork.WithCommand("/a\x00b", nil, nil),
		"WithCommand(\"c\\x00d\"): invalid argument":    prefork.WithCommand("", []string{"c\x00d"}, nil),
		"WithCommand(\"E=\\x00f\"): invalid argument":   prefork.WithCommand("", nil, []string{"E=\x00f"}),
		"WithCommand(/none): no such file or directory": prefork.WithCommand("/none", nil, nil),
	} {
		made, err := prefork.New(option)
		check(t, err)
		if _, err := made.Run(context.Background()); err == nil || err.Error() != "prefork: "+expected {
			t.Errorf("%v instead of %s", err, expected)
		}
		check(t, made.Close())
	}
	closed, err := os.Open(os.DevNull)
	check(t, err)
	check(t, closed.Close())
	if _, err := prefork.New(prefork.WithFile("x", closed)); fmt.Sprint(err) !=
		`prefork: WithFile("x"): use of closed file` {
		t.Errorf("WithFile: %v", err)
	}
	if _, err := prefork.File("a\x00b"); fmt.Sprint(err) != `prefork: File("a\x00b"): invalid argument` {
		t.Errorf("File: %v", err)
	}
	if _, err := prefork.Listen("tcp", "a\x00b:1"); err == nil {
		t.Error("Listen accepted a NUL")
	}
}
