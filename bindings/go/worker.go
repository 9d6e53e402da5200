// SPDX-License-Identifier: MIT

package prefork

// #include <stdlib.h>
// #include "limit.h"
// #include "shim.h"
import "C"

import (
	"context"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// The library takes its variables out of the environment when it is loaded, so that children of a
// worker do not take themselves for workers. Go may have its copy from before.
func init() {
	for _, name := range []string{"PF_TASK_ID", "PF_SUPERVISOR", "PF_POOL", "PF_FDS", "PF_COMM", "PF_UPGRADE",
		C.LIMIT_VARIABLE} {
		if _, found := os.LookupEnv(name); found {
			os.Unsetenv(name)
		}
	}
}

// Ready tells the supervisor that this worker serves now; see [WithReadyTimeout].
func Ready() error { return check("Ready", C.pf_worker_ready()) }

// Heartbeat gives a sign of life, see [WithHeartbeatTimeout]. It reads a clock, and writes to a pipe
// at most four times in that time, so that it may be called often.
func Heartbeat() error { return check("Heartbeat", C.pf_worker_heartbeat()) }

// Retire asks the supervisor to replace this worker, for example after so many requests. The worker
// goes on until it is asked to stop.
func Retire() error { return check("Retire", C.pf_worker_retire()) }

// WorkerPool returns the name of the pool that this worker belongs to, and whether it is one.
func WorkerPool() (string, bool) {
	name := C.pf_worker_pool_name()
	return C.GoString(name), name != nil
}

// File returns a new file for what the pool has handed on under this name, by [WithFile]. The
// error is [syscall.ENOENT] if there is none, [syscall.ECHILD] in a process that is no worker.
func File(name string) (*os.File, error) {
	text, err := cString("File", name)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(text))
	descriptor := C.pf_worker_fd(text)
	if err := checkValue("File", strconv.Quote(name), descriptor); err != nil {
		return nil, err
	}
	copied, err := duplicateFd(uintptr(descriptor))
	if err != nil {
		return nil, err
	}
	return os.NewFile(copied, name), nil
}

var stop = struct {
	requested chan struct{} // closed when the stop descriptor is readable
	open      func() (*waiter, error)
	watch     sync.Once
}{
	requested: make(chan struct{}),
	open: sync.OnceValues(func() (*waiter, error) {
		descriptor := C.pf_worker_stop_fd()
		if err := check("StopContext", descriptor); err != nil {
			return nil, err
		}
		return newWaiter(descriptor, "prefork stop")
	}),
}

// StopContext returns a context that is done when parent is, or when this worker should end: it
// was asked to by its pool or by SIGTERM, or the supervisor is gone. Until the returned function
// is called, which releases the context, SIGTERM does nothing else, and SIGINT, which Ctrl-C
// sends to the supervisor as well, nothing at all. Call it when the work is done: SIGTERM may come
// a moment after the context is done, and ends the worker then.
//
// In a process that is no worker the error is [syscall.ECHILD].
func StopContext(parent context.Context) (context.Context, context.CancelFunc, error) {
	if err := watchStop(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(parent)
	terminated, interrupted := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	signal.Notify(interrupted, syscall.SIGINT)
	go func() {
		select {
		case <-stop.requested:
		case <-terminated:
		case <-ctx.Done():
		}
		cancel()
	}()
	return ctx, func() {
		cancel()
		signal.Stop(terminated)
		signal.Stop(interrupted)
	}, nil
}

// watchStop closes stop.requested in time.
func watchStop() error {
	waiter, err := stop.open()
	if err == nil {
		stop.watch.Do(func() {
			go func() {
				if waiter.wait() == nil {
					close(stop.requested)
				}
			}()
		})
	}
	return err
}

// watchSupervisor makes sure that this worker does not outlive its supervisor: of a supervisor
// with threads the kernel tells only what was started by the first of them.
func watchSupervisor(deathSignal syscall.Signal) error {
	if _, err := stop.open(); err != nil {
		return err
	}
	// If the descriptor is not readable after it, this was the supervisor.
	supervisor := os.Getppid()
	if C.is_readable(C.pf_worker_stop_fd()) != 0 {
		supervisor = -1
	}
	if err := watchStop(); err != nil || deathSignal == 0 {
		return err
	}
	go func() {
		<-stop.requested
		for os.Getppid() == supervisor {
			time.Sleep(time.Second) // it was asked to stop, and may be left alone still
		}
		syscall.Kill(os.Getpid(), deathSignal)
	}()
	return nil
}
