// SPDX-License-Identifier: MIT

package prefork_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

// The scenarios that the bindings of all languages run.
func TestScenario(t *testing.T) {
	for _, scenario := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"task_ids", taskIDs},
		{"restart_with_the_same_id", restartWithTheSameID},
		{"clean_exit", cleanExit},
		{"limit_gives_up", limitGivesUp},
		{"terminated_supervisor_leaves_nobody", terminatedSupervisor},
		{"killed_supervisor_leaves_nobody", killedSupervisor},
		{"event_order_and_fields", eventOrderAndFields},
		{"graceful_stop", gracefulStop},
		{"rolling_reload", rollingReload},
		{"resize", resize},
		{"pids_and_states", pidsAndStates},
		{"shared_listening_socket", sharedListeningSocket},
		{"errors_as_the_languages_own", errorsAsGoHasThem},
		{"use_after_fork_refused", useAfterForkRefused},
		{"ctrl_c_within_100_ms", ctrlC},
		{"library_missing_or_too_old", libraryMissingOrTooOld},
	} {
		t.Run(scenario.name, scenario.run)
	}
}

func value(format string, arguments ...any) string {
	return valueVar + "=" + fmt.Sprintf(format, arguments...)
}

func taskIDs(t *testing.T) {
	if prefork.TaskID() != -1 {
		t.Errorf("this is no worker, and has task id %d", prefork.TaskID())
	}
	for _, asked := range []int{4, 0, -1} {
		count := asked
		if asked <= 0 {
			count = prefork.CPUCount()
		}
		p := startProgram(t, "fork", value("%d 0 0", asked))
		var supervisor int
		fmt.Sscan(p.line(`supervisor (\d+)`)[1], &supervisor)
		pids := p.tasks(count)
		different := map[int]bool{supervisor: true}
		for taskID, pid := range pids {
			if taskID < 0 || taskID >= count {
				t.Errorf("task id %d of %d", taskID, count)
			}
			different[pid] = true
		}
		if len(different) != count+1 {
			t.Errorf("%d processes instead of %d", len(different), count+1)
		}
		if left := p.rest(); len(left) != 1 || left[0] != "" {
			t.Errorf("more lines: %q", left)
		}
		if status := p.status(); status != 0 {
			t.Errorf("status %v", status)
		}
	}
}

func restartWithTheSameID(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(3)).run(context.Background())
	before := p.hearTasks(3)
	check(t, syscall.Kill(before[1], syscall.SIGKILL))
	exited := p.next(prefork.EventExited, -1)
	if exited.TaskID != 1 || exited.PID != before[1] || exited.Signal != syscall.SIGKILL ||
		!exited.WillRestart || exited.Restarts != 1 || exited.Level != slog.LevelWarn {
		t.Errorf("not as it was: %+v", exited)
	}
	after := p.hearTasks(1)
	if after[1] == 0 || after[1] == before[1] {
		t.Errorf("%v was restarted as %v", before, after)
	}
	if restarts, err := p.WorkerRestarts(1); err != nil || restarts != 1 {
		t.Errorf("restarts: %v, %v", restarts, err)
	}
	if pid, err := p.WorkerPID(0); err != nil || pid != before[0] {
		t.Errorf("worker 0 did not go on: %v, %v", pid, err)
	}
	check(t, p.end())
}

func cleanExit(t *testing.T) {
	p := startProgram(t, "fork", value("3 100 0"))
	p.tasks(3)
	if left := p.rest(); len(left) != 1 || left[0] != "" {
		t.Errorf("more lines: %q", left)
	}
	if status := p.status(); status != 0 {
		t.Errorf("status %v", status)
	}
}

func limitGivesUp(t *testing.T) {
	p := startProgram(t, "fork", value("2 3 5"))
	lines := p.rest()
	tasks := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "task ") {
			tasks++
		}
	}
	// The fourth abnormal end is one too many. A worker that is stopped may not have spoken yet.
	last := lines[len(lines)-1]
	if tasks < 4 || tasks > 5 || !strings.HasPrefix(last, "error true ") {
		t.Errorf("said: %q", lines)
	}
	if status := p.status(); status.ExitStatus() != 7 {
		t.Errorf("status %v", status)
	}
	p.expectGone()

	p = startProgram(t, "fork twice")
	p.line("gave up true 0")
	p.line("gave up true 0")
	p.status()
	p.expectGone()

	failing := newPool(t, "exit", prefork.WithWorkers(1), prefork.WithMaxRestarts(2),
		prefork.WithCommand("", nil, append(os.Environ(), programVar+"=exit", value("6"))))
	if err := failing.run(context.Background()).result(); !errors.Is(err, prefork.ErrGaveUp) {
		t.Errorf("error %v", err)
	}
	fatal := newPool(t, "exit", prefork.WithWorkers(2), prefork.WithExitAction(6, prefork.ExitFatal),
		prefork.WithCommand("", nil, append(os.Environ(), programVar+"=exit", value("6"))))
	if err := fatal.run(context.Background()).result(); !errors.Is(err, prefork.ErrFatal) {
		t.Errorf("error %v", err)
	}
}

func terminatedSupervisor(t *testing.T) {
	for _, number := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT,
		syscall.SIGHUP} {
		p := startProgram(t, "fork", value("3 0 stay"))
		p.tasks(3)
		check(t, p.Process.Signal(number))
		if status := p.status(); !status.Signaled() || status.Signal() != number {
			t.Errorf("%v: status %#x", number, int(status))
		}
		if left := groupMembers(p.Process.Pid); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	}
}

func killedSupervisor(t *testing.T) {
	for _, program := range []string{"fork", "pool", "off main"} {
		p := startProgram(t, program, value("2 0 stay"))
		p.tasks(2)
		check(t, p.Process.Kill())
		p.status()
		p.expectGone()
	}
	// At any moment, be it while workers find out what they are.
	for delay := time.Duration(0); delay < 40*time.Millisecond; delay += 2 * time.Millisecond {
		p := startProgram(t, "off main")
		time.Sleep(delay)
		check(t, p.Process.Kill())
		p.status()
		p.expectGone()
	}
}

func eventOrderAndFields(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(2), prefork.WithReadyTimeout(patience),
		prefork.WithRestartPolicy(prefork.RestartNever)).run(context.Background())
	p.next(prefork.EventReady, -1)
	p.next(prefork.EventReady, -1)
	pids := p.hearTasks(2)
	check(t, p.SendSignal(1, syscall.SIGKILL))
	p.next(prefork.EventExited, 1)
	check(t, p.end())

	kinds := map[int][]prefork.EventType{}
	last := time.Duration(0)
	for _, event := range p.seen {
		kinds[event.TaskID] = append(kinds[event.TaskID], event.Type)
		if event.Monotonic < last || event.Message == "" {
			t.Errorf("out of order, or empty: %+v", event)
		}
		last = event.Monotonic
		if event.TaskID >= 0 && event.PID != pids[event.TaskID] {
			t.Errorf("another pid: %+v", event)
		}
		if event.Type == prefork.EventExited {
			expectExit(t, event)
		}
	}
	one := []prefork.EventType{prefork.EventStarted, prefork.EventReady, prefork.EventExited}
	expected := map[int][]prefork.EventType{
		-1: {prefork.EventStarting, prefork.EventStopping, prefork.EventDone}, 0: one, 1: one}
	if !reflect.DeepEqual(kinds, expected) {
		t.Errorf("events %v instead of %v", kinds, expected)
	}
	first, done := p.seen[0], p.seen[len(p.seen)-1]
	if first.Type != prefork.EventStarting || first.Message != "Starting 2 processes" ||
		first.WorkerCount != 2 ||
		first.Level != slog.LevelInfo || done.Type != prefork.EventDone || done.Err != nil {
		t.Errorf("first %+v, last %+v", first, done)
	}
	if text := first.Type.String(); text != "Starting" {
		t.Errorf("Starting is %q", text)
	}
}

// expectExit: task 1 was killed, task 0 exited as it was asked to.
func expectExit(t *testing.T, event prefork.Event) {
	t.Helper()
	expected := prefork.Event{Level: slog.LevelInfo, ExitCode: 0,
		Message: fmt.Sprintf("child 0 (pid %d) exited normally", event.PID)}
	if event.TaskID == 1 {
		expected = prefork.Event{Level: slog.LevelWarn, ExitCode: -1, Signal: syscall.SIGKILL,
			Message: fmt.Sprintf("child 1 (pid %d) killed by signal 9", event.PID)}
	}
	if event.Level != expected.Level || event.ExitCode != expected.ExitCode ||
		event.Signal != expected.Signal || event.Message != expected.Message || event.WillRestart ||
		event.CoreDumped || event.Err != nil || event.Restarts != 0 || event.MaxRSS < 1<<20 ||
		event.Uptime <= 0 || event.UserTime+event.SystemTime <= 0 {
		t.Errorf("event %+v", event)
	}
}

func gracefulStop(t *testing.T) {
	stops := map[string]func(*pool, context.CancelFunc){
		"by Stop":    func(p *pool, _ context.CancelFunc) { check(t, p.Stop()) },
		"by context": func(_ *pool, cancel context.CancelFunc) { cancel() },
	}
	for name, stop := range stops {
		for _, number := range []syscall.Signal{syscall.SIGTERM, 0} {
			t.Run(fmt.Sprint(name, " with signal ", int(number)), func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				p := newPool(t, "finish", prefork.WithWorkers(2),
					prefork.WithStop(number, patience))
				p.run(ctx)
				p.hearTasks(2)
				stop(p, cancel)
				if p.hear() != "finished" || p.hear() != "finished" {
					t.Error("the work was not finished")
				}
				check(t, p.result())
				for _, event := range p.seen {
					if event.Type == prefork.EventExited && event.ExitCode != 0 {
						t.Errorf("event %+v", event)
					}
				}
			})
		}
	}
	t.Run("time-out", func(t *testing.T) {
		p := newPool(t, "deaf", prefork.WithWorkers(1),
			prefork.WithStop(syscall.SIGTERM, 50*time.Millisecond)).run(context.Background())
		p.hearTasks(1)
		check(t, p.Stop())
		p.next(prefork.EventKilled, 0)
		if exited := p.next(prefork.EventExited, 0); exited.Signal != syscall.SIGKILL {
			t.Errorf("event %+v", exited)
		}
		check(t, p.result())
	})
}

func resize(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(1)).run(context.Background())
	p.hearTasks(1)
	check(t, p.Resize(3))
	p.next(prefork.EventResized, -1)
	if more := p.hearTasks(2); more[1] == 0 || more[2] == 0 {
		t.Errorf("more workers: %v", more)
	}
	if count, err := p.WorkerCount(); err != nil || count != 3 {
		t.Errorf("%v workers, %v", count, err)
	}
	check(t, p.Resize(2))
	if exited := p.next(prefork.EventExited, -1); exited.TaskID != 2 || exited.WillRestart {
		t.Errorf("event %+v", exited)
	}
	if count, err := p.AliveCount(); err != nil || count != 2 {
		t.Errorf("%v alive, %v", count, err)
	}
	for _, wrong := range []int{0, -1, 65537, 1 << 40} {
		if err := p.Resize(wrong); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("resize to %d: %v", wrong, err)
		}
	}
	check(t, p.end())
	if err := p.Resize(1); !errors.Is(err, syscall.ECANCELED) {
		t.Errorf("after the end: %v", err)
	}
}

func pidsAndStates(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(2), prefork.WithReadyTimeout(patience),
		prefork.WithBackoff(patience, patience)).run(context.Background())
	pids := p.hearTasks(2)
	p.next(prefork.EventReady, 0)
	eventually(t, "both are ready", func() bool {
		state, err := p.WorkerState(1)
		return err == nil && state == prefork.WorkerReady
	})
	for taskID := 0; taskID < 2; taskID++ {
		if pid, err := p.WorkerPID(taskID); err != nil || pid != pids[taskID] {
			t.Errorf("pid %v, %v", pid, err)
		}
	}
	eventually(t, "it has lived for some time", func() bool {
		uptime, err := p.WorkerUptime(0)
		return err == nil && uptime > 0
	})
	check(t, p.SendSignal(0, syscall.SIGKILL))
	if exited := p.next(prefork.EventExited, 0); exited.Delay < patience/2 {
		t.Errorf("event %+v", exited)
	}
	if state, err := p.WorkerState(0); err != nil || state != prefork.WorkerBackoff {
		t.Errorf("state %v, %v", state, err)
	}
	if pid, err := p.WorkerPID(0); err != nil || pid != 0 {
		t.Errorf("pid %v, %v", pid, err)
	}
	check(t, p.ReplaceWorker(0))
	if after := p.hearTasks(1); after[0] == 0 {
		t.Errorf("not restarted at once: %v", after)
	}
	if _, err := p.WorkerState(2); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("no such slot: %v", err)
	}
	if _, err := p.WorkerUptime(-1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("no such slot: %v", err)
	}
	check(t, p.end())
	if alive, err := p.AliveCount(); err != nil || alive != 0 {
		t.Errorf("%v alive, %v", alive, err)
	}
}
