// SPDX-License-Identifier: MIT

package prefork

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"log/slog"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// Unlimited is no limit on the number of restarts.
const Unlimited = C.PF_UNLIMITED

// RestartPolicy says which ends of a worker lead to a restart.
type RestartPolicy int

// LimitAction says what happens at a limit of restarts.
type LimitAction int

// ExitAction says what an exit status of a worker means, whatever the restart policy says.
type ExitAction int

// ReloadOrder says whether a reload starts the new worker or stops the old one first.
type ReloadOrder int

// GroupMode says which signals the process group of a worker gets.
type GroupMode int

// Backend says how ends of workers are noticed.
type Backend int

// The values of options; the first of each is the default.
const (
	RestartOnFailure RestartPolicy = C.PF_RESTART_ON_FAILURE
	RestartAlways    RestartPolicy = C.PF_RESTART_ALWAYS
	RestartNever     RestartPolicy = C.PF_RESTART_NEVER

	LimitStop    LimitAction = C.PF_LIMIT_STOP    // stop all workers and fail with ErrGaveUp
	LimitDegrade LimitAction = C.PF_LIMIT_DEGRADE // leave that slot empty and go on

	ExitDefault ExitAction = C.PF_EXIT_DEFAULT // the restart policy decides
	ExitRestart ExitAction = C.PF_EXIT_RESTART // restart the worker, and count it
	ExitDone    ExitAction = C.PF_EXIT_DONE    // the worker has finished, as with status 0
	ExitFatal   ExitAction = C.PF_EXIT_FATAL   // stop all workers and fail with ErrFatal

	ReloadStartFirst ReloadOrder = C.PF_RELOAD_START_FIRST
	ReloadStopFirst  ReloadOrder = C.PF_RELOAD_STOP_FIRST

	GroupSignals GroupMode = C.PF_GROUP_SIGNALS // the group and the worker get each signal
	GroupKill    GroupMode = C.PF_GROUP_KILL    // the worker alone, and stops its own processes

	BackendAuto    Backend = C.PF_BACKEND_AUTO
	BackendPidfd   Backend = C.PF_BACKEND_PIDFD
	BackendSigchld Backend = C.PF_BACKEND_SIGCHLD // takes SIGCHLD away from os/signal
)

// Option is a setting of a pool.
type Option func(*Pool) error

func withNumber(op string, value int, set func(*C.pf_pool, C.int) C.int) Option {
	return func(p *Pool) error {
		converted, err := number(op, value)
		if err != nil {
			return err
		}
		return checkValue(op, strconv.Itoa(value), set(p.handle, converted))
	}
}

func withTimes(op string, first, second time.Duration,
	set func(handle *C.pf_pool, first, second C.uint64_t) C.int) Option {
	value := first.String()
	if second != 0 {
		value += ", " + second.String()
	}
	return withValue(op, value, first, second, set)
}

// withValue has errors of the library name the value, which may be more than the times.
func withValue(op, value string, first, second time.Duration,
	set func(handle *C.pf_pool, first, second C.uint64_t) C.int) Option {
	return func(p *Pool) error {
		a, err := milliseconds(op, first)
		if err != nil {
			return err
		}
		b, err := milliseconds(op, second)
		if err != nil {
			return err
		}
		return checkValue(op, value, set(p.handle, a, b))
	}
}

// WithName names the pool, which tells several pools of a program apart; at most 63 bytes.
// A worker takes its place when it runs the pool that has the name of its own.
// A pool that a worker makes must have another name than the worker's own.
func WithName(name string) Option {
	return func(p *Pool) error {
		text, err := cString("WithName", name)
		if err != nil {
			return err
		}
		defer C.free(unsafe.Pointer(text))
		return checkValue("WithName", strconv.Quote(name), C.pf_pool_set_name(p.handle, text))
	}
}

// WithWorkers sets the number of workers; 0 or less is [CPUCount], the default.
func WithWorkers(count int) Option {
	return withNumber("WithWorkers", count,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_workers(h, n) })
}

// WithRestartPolicy sets which ends lead to a restart.
func WithRestartPolicy(when RestartPolicy) Option {
	return withNumber("WithRestartPolicy", int(when),
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_restart_policy(h, n) })
}

// WithMaxRestarts limits the restarts in the pool's life, over all workers. The default, also
// for negatives, is 100; see [Unlimited].
func WithMaxRestarts(limit int) Option {
	return withNumber("WithMaxRestarts", limit,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_max_restarts(h, n) })
}

// WithRestartWindow allows no more than limit restarts in any time so long, over all workers.
func WithRestartWindow(limit int, window time.Duration) Option {
	const op = "WithRestartWindow"
	value := strconv.Itoa(limit) + ", " + window.String()
	return withValue(op, value, window, 0, func(h *C.pf_pool, ms, _ C.uint64_t) C.int {
		n, err := number(op, limit)
		if err != nil {
			return -C.int(syscall.EINVAL)
		}
		return C.pf_pool_set_restart_window(h, n, ms)
	})
}

// WithBackoff delays the restarts of a worker, doubling from first to longest, each drawn from
// half of it to the whole. By default a restart is at once.
func WithBackoff(first, longest time.Duration) Option {
	return withTimes("WithBackoff", first, longest,
		func(h *C.pf_pool, a, b C.uint64_t) C.int { return C.pf_pool_set_backoff(h, a, b) })
}

// WithLimitAction sets what happens when there were too many restarts.
func WithLimitAction(action LimitAction) Option {
	return withNumber("WithLimitAction", int(action),
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_limit_action(h, n) })
}

// WithStop sets how workers are stopped: by this signal, default SIGTERM, and by SIGKILL after
// the time-out, default 10 s. Signal 0: only the stop descriptor tells. Time-out 0: no SIGKILL.
func WithStop(signal syscall.Signal, timeout time.Duration) Option {
	value := strconv.Itoa(int(signal)) + ", " + timeout.String()
	return withValue("WithStop", value, timeout, 0, func(h *C.pf_pool, ms, _ C.uint64_t) C.int {
		return C.pf_pool_set_stop(h, C.int(signal), ms)
	})
}

// WithBootLimit stops the pool, with [ErrGaveUp], when so many workers in a row have ended before
// they were ready while none is ready; 0, the default: no limit.
func WithBootLimit(limit int) Option {
	return withNumber("WithBootLimit", limit,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_boot_limit(h, n) })
}

// WithMinUptime sets how long a worker must live to count as started well; default 1 s. Without
// [WithReadyTimeout] a replacement takes over after this time, or when it calls [Ready].
func WithMinUptime(uptime time.Duration) Option {
	return withTimes("WithMinUptime", uptime, 0, func(h *C.pf_pool, ms, _ C.uint64_t) C.int {
		return C.pf_pool_set_min_uptime(h, ms)
	})
}

// WithSpares keeps so many workers started ahead of need; 0, the default: none. A spare waits in
// [Pool.Run] or [ForkProcesses], with [TaskSpare] as its task id, after what the program does
// before that call. It takes the slot of a worker that ends or is replaced at once. A spare that
// is not needed any more exits there with status 0. See also [Pool.SetSpares].
func WithSpares(count int) Option {
	return withNumber("WithSpares", count,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_spares(h, n) })
}

// WithForeignWorkers says that the program of [WithCommand] does not use this library. With a ready
// or heartbeat time-out it reports as a service does to systemd, by READY=1 and WATCHDOG=1 to
// NOTIFY_SOCKET.
//
// Such a worker ends with a supervisor that is killed only if the pool runs in the main thread: call
// [runtime.LockOSThread] in an init function, and [Pool.Run] in the main function.
func WithForeignWorkers() Option {
	return withNumber("WithForeignWorkers", 1, func(h *C.pf_pool, n C.int) C.int {
		return C.pf_pool_set_foreign_workers(h, n)
	})
}

// WithExitAction sets what an exit status, 0 to 255, of a worker means. May be given once for each
// status.
func WithExitAction(status int, action ExitAction) Option {
	const op = "WithExitAction"
	value := strconv.Itoa(status) + ", " + strconv.Itoa(int(action))
	return func(p *Pool) error {
		code, codeErr := number(op, status)
		n, err := number(op, int(action))
		if codeErr != nil || err != nil {
			return invalid(op, value)
		}
		return checkValue(op, value, C.pf_pool_set_exit_action(p.handle, code, n))
	}
}

// WithReadyTimeout sets how long a worker may take to call [Ready]. By default a worker is ready
// when it has started.
func WithReadyTimeout(timeout time.Duration) Option {
	return withTimes("WithReadyTimeout", timeout, 0,
		func(h *C.pf_pool, ms, _ C.uint64_t) C.int { return C.pf_pool_set_ready_timeout(h, ms) })
}

// WithHeartbeatTimeout sets how long a worker may be without a call of [Heartbeat].
func WithHeartbeatTimeout(timeout time.Duration) Option {
	return withTimes("WithHeartbeatTimeout", timeout, 0,
		func(h *C.pf_pool, ms, _ C.uint64_t) C.int {
			return C.pf_pool_set_heartbeat_timeout(h, ms)
		})
}

// WithLifetime replaces a worker when it is older than this and a random part of jitter.
func WithLifetime(longest, jitter time.Duration) Option {
	return withTimes("WithLifetime", longest, jitter,
		func(h *C.pf_pool, a, b C.uint64_t) C.int { return C.pf_pool_set_lifetime(h, a, b) })
}

// WithReloadOrder sets which comes first in a reload.
func WithReloadOrder(order ReloadOrder) Option {
	return withNumber("WithReloadOrder", int(order),
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_reload_order(h, n) })
}

// WithReplaceWidth sets how many workers a reload replaces at a time; default 1.
func WithReplaceWidth(count int) Option {
	return withNumber("WithReplaceWidth", count,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_replace_width(h, n) })
}

// WithProcessGroups makes each worker lead a process group. What is left of the group is killed
// when the worker has ended.
func WithProcessGroups(mode GroupMode) Option {
	return withNumber("WithProcessGroups", int(mode),
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_process_groups(h, n) })
}

// WithManagerNotify speaks systemd's protocol (READY=1, RELOADING=1, STOPPING=1, WATCHDOG=1, STATUS=) to
// the socket that the environment variable NOTIFY_SOCKET names, if it is set when Run begins.
func WithManagerNotify() Option {
	return withNumber("WithManagerNotify", 1,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_manager_notify(h, n) })
}

// WithParentDeathSignal sets the signal that a worker gets when the supervisor has ended;
// default SIGTERM; 0: only the stop descriptor tells.
func WithParentDeathSignal(signal syscall.Signal) Option {
	return func(p *Pool) error {
		err := checkValue("WithParentDeathSignal", strconv.Itoa(int(signal)),
			C.pf_pool_set_parent_death_signal(p.handle, C.int(signal)))
		if err == nil {
			p.deathSignal = signal
		}
		return err
	}
}

// WithBackend sets how ends are noticed. The default leaves SIGCHLD alone where it can.
func WithBackend(backend Backend) Option {
	return withNumber("WithBackend", int(backend),
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_backend(h, n) })
}

// WithFile hands an open file on to each worker, which finds it by [File]. It has to stay open
// while the pool lives. The name has 1 to 255 bytes, no colon and no control character.
func WithFile(name string, file *os.File) Option {
	return func(p *Pool) error {
		if file == nil {
			return invalid("WithFile", strconv.Quote(name)+", nil")
		}
		p.files = append(p.files, file) // so that it is not closed as garbage
		return p.addDescriptor(name, file)
	}
}

// WithCommand makes workers of another program. path is not searched for in PATH; args begins
// with the program's name. "" and nil stand for those of this program, as without the option. What
// is wrong with them is an error of [Pool.Run].
func WithCommand(path string, args, env []string) Option {
	return func(p *Pool) error {
		p.path, p.args, p.env = path, args, env
		return nil
	}
}

// WithSignals has signals to this process control the pool while it runs, except those that are
// ignored. SIGTERM stops it gracefully; SIGINT and SIGQUIT too, but within 1 s; a second of these,
// at least 200 ms later, kills. SIGHUP reloads; SIGUSR1, SIGUSR2 and SIGWINCH are passed on to
// workers that are ready. SIGTTIN and SIGTTOU add and take away a worker, in a process without a
// terminal; with one they are left alone, as they stop a background job that uses it.
func WithSignals() Option {
	return func(p *Pool) error {
		p.signals = standardSignals
		p.received = func(number syscall.Signal) { p.HandleSignal(number) }
		return nil
	}
}

// WithLogger has all events logged. Without it, warnings and errors go to [slog.Default].
func WithLogger(logger *slog.Logger) Option {
	return func(p *Pool) error {
		p.logger = logger
		return nil
	}
}
