// SPDX-License-Identifier: MIT

package prefork_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	prefork "libprefork.invalid/bindings/go"
	"libprefork.invalid/bindings/go/internal/forked"
)

func errorsAsGoHasThem(t *testing.T) {
	expectNothingLeft(t)
	for name, option := range map[string]prefork.Option{
		"workers":        prefork.WithWorkers(65537),
		"too big":        prefork.WithWorkers(1 << 40),
		"negative":       prefork.WithReadyTimeout(-1),
		"backoff":        prefork.WithBackoff(2, time.Nanosecond),
		"restart_policy": prefork.WithRestartPolicy(9),
		"file name":      prefork.WithFile("a:b", os.Stdin),
		"long name":      prefork.WithName(strings.Repeat("x", 64)),
	} {
		made, err := prefork.New(option)
		if name == "backoff" { // both are 1 ms
			check(t, err)
			check(t, made.Close())
			continue
		}
		var own *prefork.Error
		if made != nil || !errors.Is(err, syscall.EINVAL) || !errors.As(err, &own) ||
			own.Code != -int(syscall.EINVAL) || !strings.Contains(err.Error(), own.Op) {
			t.Errorf("%s: %v", name, err)
		}
	}
	made, err := prefork.New(prefork.WithCommand("/does/not/exist", nil, nil),
		prefork.WithLogger(quiet))
	check(t, err)
	if err := made.Stop(); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("not started: %v", err)
	}
	if _, err := made.Run(context.Background()); !errors.Is(err, syscall.ENOENT) ||
		!errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
	if _, err := made.Run(context.Background()); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("again: %v", err)
	}
	check(t, made.Close())
	_, runErr := made.Run(context.Background())
	for _, err := range []error{made.Close(), made.Stop(), made.Reload(), made.Resize(1), runErr} {
		if !errors.Is(err, prefork.ErrClosed) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
	if _, err := prefork.ForkProcesses(65537, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("too many: %v", err)
	}
	if err := prefork.DieOfSignal(syscall.SIGCHLD); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("die of SIGCHLD: %v", err)
	}
	_, _, stopErr := prefork.StopContext(context.Background())
	_, fileErr := prefork.File("any")
	for _, err := range []error{prefork.Ready(), prefork.Heartbeat(), stopErr, fileErr} {
		if !errors.Is(err, syscall.ECHILD) {
			t.Errorf("no worker: %v", err)
		}
	}
	for code, expected := range map[int]error{-4097: prefork.ErrGaveUp, -4100: prefork.ErrFatal,
		-int(syscall.EAGAIN): syscall.EAGAIN} {
		if err := error(&prefork.Error{Code: code}); !errors.Is(err, expected) {
			t.Errorf("%v is not %v", err, expected)
		}
	}
}

// Each descriptor that Run needs lacks once.
func fewFiles() {
	var before syscall.Rlimit
	must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	for limit := uint64(3); ; limit++ {
		made, err := prefork.New(prefork.WithWorkers(1), prefork.WithForeignWorkers(),
			prefork.WithCommand("/bin/true", nil, nil), prefork.WithLogger(quiet))
		must(err)
		events := made.Events()
		must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: before.Max}))
		done := make(chan error, 1)
		go func() {
			_, err := made.Run(context.Background())
			done <- err
		}()
		if err, failed := startError(done, events); failed {
			if !errors.Is(err, syscall.EMFILE) || !strings.HasPrefix(err.Error(), "prefork: Run") {
				must(fmt.Errorf("limit %d: %w", limit, err))
			}
			made.Close()
			for range events {
			}
			continue
		}
		made.Close()
		fmt.Println("all as expected")
		return
	}
}

// startError returns what Run has failed with before its first event.
func startError(done <-chan error, events <-chan prefork.Event) (error, bool) {
	select {
	case err := <-done:
		return err, err != nil
	case <-events:
		go func() {
			for range events {
			}
		}()
		return nil, false
	}
}

func TestRunWithoutDescriptors(t *testing.T) {
	p := startProgram(t, "few files")
	p.line("all as expected")
	if status := p.status(); status != 0 {
		t.Errorf("status %v", status)
	}
}

func useAfterForkRefused(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(1)).run(context.Background())
	before := p.hearTasks(1)
	if _, err := p.Run(context.Background()); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("a second Run: %v", err)
	}
	if calls := forked.UseInChild(p.Handle()); calls != 0 {
		t.Errorf("calls that were not refused: %b", calls)
	}
	if pid, err := p.WorkerPID(0); err != nil || pid != before[0] {
		t.Errorf("the worker did not go on: %v, %v", pid, err)
	}
	check(t, p.end())

	misused := newPool(t, "misuse", prefork.WithWorkers(1)).run(context.Background())
	for _, expected := range []string{"stop true", "resize true", "pid true", "again true",
		"fork true", "events 0", "close <nil>"} {
		if said := misused.hear(); said != expected {
			t.Errorf("%q instead of %q", said, expected)
		}
	}
	check(t, misused.end())
}

func ctrlC(t *testing.T) {
	best := time.Hour
	for try := 0; try < 20 && best >= 100*time.Millisecond; try++ {
		p := startProgram(t, "pool")
		p.tasks(2)
		begun := time.Now()
		check(t, syscall.Kill(-p.Process.Pid, syscall.SIGINT)) // as a terminal does
		p.line("event Stopping .*")
		if took := time.Since(begun); took < best {
			best = took
		}
		p.line("done interrupt")
		if status := p.status(); status != 0 {
			t.Errorf("status %v", status)
		}
		p.expectGone()
	}
	if best >= 100*time.Millisecond {
		t.Errorf("it took %v", best)
	}
}
