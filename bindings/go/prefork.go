// SPDX-License-Identifier: MIT

package prefork

// #include "shim.h"
import "C"

import (
	"context"
	"os"
	"sync/atomic"
	"syscall"
)

// ForkProcesses starts workers and supervises them until they have all finished.
//
// In a worker it returns its task id, 0 to n-1. In the supervisor it does not return while all
// goes well: it exits with status 0 when every worker has, and dies of SIGTERM, SIGINT, SIGQUIT
// or SIGHUP once it has stopped the workers because of it. A worker that is killed by a signal
// or exits with another status is started again with the same task id, at most maxRestarts times
// over all workers; then the others are stopped, and the error is [ErrGaveUp]. n of 0 or less is
// [CPUCount]; a negative maxRestarts is 100, see also [Unlimited].
//
// Whatever the error, no worker is left, and ForkProcesses may be called again. In a worker that
// has its task id it is [syscall.EALREADY].
func ForkProcesses(n, maxRestarts int) (int, error) {
	if err := checkVersion(); err != nil {
		return -1, err
	}
	if TaskID() != -1 {
		taskID := C.pf_fork_processes(1, 0) // never forks in a worker
		if err := check("ForkProcesses", taskID); err != nil {
			return -1, err
		}
		return int(taskID), watchSupervisor(syscall.SIGTERM)
	}
	pool, err := New(WithWorkers(n), WithMaxRestarts(maxRestarts))
	if err != nil {
		return -1, err
	}
	defer pool.Close()
	var first atomic.Int32 // signal
	pool.signals = stopSignals
	pool.received = func(number syscall.Signal) {
		first.CompareAndSwap(0, int32(number))
		pool.HandleSignal(syscall.SIGTERM) // a graceful stop, whichever it was
	}
	taskID, err := pool.Run(context.Background())
	if err != nil || taskID >= 0 {
		return taskID, err
	}
	if pool.StopSignal() != 0 {
		return -1, DieOfSignal(syscall.Signal(first.Load()))
	}
	os.Exit(0)
	return -1, nil
}

// DieOfSignal ends this process as the signal would, above all the one that [Pool.StopSignal]
// tells. The signal has its default action, whatever Go or the program has it do. As process 1,
// which does not die of it, the process ends with status 128 + signal. Deferred calls are not run.
//
// It returns only if it failed: with [syscall.EINVAL] if the signal does not end processes.
func DieOfSignal(signal syscall.Signal) error {
	return check("DieOfSignal", C.pf_die_of_signal(C.int(signal)))
}

// TaskSpare is the task id of a spare that has no slot yet, see [WithSpares].
const TaskSpare = C.PF_TASK_SPARE

// TaskID returns the task id of this worker, -1 in a process that is no worker, and [TaskSpare] in a
// spare. It is known from the start of the program on.
func TaskID() int { return int(C.pf_task_id()) }

// CPUCount returns the number of processors that this process may use, at least 1: those of its
// affinity, but no more than the quota of its control groups, rounded up.
func CPUCount() int { return int(C.pf_cpu_count()) }

// Version returns the version of the library that runs, such as "0.2.0".
func Version() string { return C.GoString(C.pf_version()) }
