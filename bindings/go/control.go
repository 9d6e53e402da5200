// SPDX-License-Identifier: MIT

package prefork

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"
)

// WorkerState says what the worker of a slot does.
type WorkerState int

// The states of workers.
const (
	WorkerEmpty    WorkerState = C.PF_WORKER_EMPTY    // none, and none is to come
	WorkerStarting WorkerState = C.PF_WORKER_STARTING // on its way
	WorkerReady    WorkerState = C.PF_WORKER_READY    // at work
	WorkerStopping WorkerState = C.PF_WORKER_STOPPING // asked to end
	WorkerBackoff  WorkerState = C.PF_WORKER_BACKOFF  // restarted after a delay
	WorkerDone     WorkerState = C.PF_WORKER_DONE     // exited normally; not restarted
)

// String returns the name without "Worker", such as "Ready".
func (s WorkerState) String() string {
	names := [...]string{"Empty", "Starting", "Ready", "Stopping", "Backoff", "Done"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("WorkerState(%d)", int(s))
	}
	return names[s]
}

// call has the library do something with the pool, unless that is closed.
func (p *Pool) call(op string, do func(*C.pf_pool) C.int) (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.handle == nil {
		return 0, ErrClosed
	}
	result := do(p.handle)
	if err := check(op, result); err != nil {
		return 0, err
	}
	return int(result), nil
}

func (p *Pool) callNumber(op string, value int, do func(*C.pf_pool, C.int) C.int) (int, error) {
	converted, err := number(op, value)
	if err != nil {
		return 0, err
	}
	result, err := p.call(op, func(handle *C.pf_pool) C.int { return do(handle, converted) })
	var failed *Error
	if errors.As(err, &failed) {
		failed.Value = strconv.Itoa(value)
	}
	return result, err
}

// Stop asks all workers to end, and Run returns when they have. Again it has no effect.
func (p *Pool) Stop() error {
	_, err := p.call("Stop", func(h *C.pf_pool) C.int { return C.pf_pool_stop(h) })
	return err
}

// Kill ends all workers by SIGKILL, and Run returns when they have ended.
func (p *Pool) Kill() error {
	_, err := p.call("Kill", func(h *C.pf_pool) C.int { return C.pf_pool_kill(h) })
	return err
}

// Reload replaces all workers, one after the other: an old one is asked to end when the new one
// is ready or, without [WithReadyTimeout], has lived for a second. Each new worker is what the
// file of the program holds by then. [EventReloaded] or [EventReloadFailed] tells the end.
func (p *Pool) Reload() error {
	_, err := p.call("Reload", func(h *C.pf_pool) C.int { return C.pf_pool_reload(h) })
	return err
}

// HandleSignal does what [WithSignals] says of a signal that the program has received by itself. It
// is for programs that have a use of their own for os/signal. Other signals are
// [syscall.EINVAL].
func (p *Pool) HandleSignal(signal syscall.Signal) error {
	_, err := p.call("HandleSignal", func(h *C.pf_pool) C.int {
		return C.pf_pool_handle_signal(h, C.int(signal))
	})
	return err
}

// StopSignal returns the signal that stopped the pool, by [WithSignals] or [Pool.HandleSignal]; 0:
// none. Call it before Close, and see [DieOfSignal].
func (p *Pool) StopSignal() syscall.Signal {
	number, _ := p.call("StopSignal", func(h *C.pf_pool) C.int {
		return C.pf_pool_stop_signal(h)
	})
	return syscall.Signal(number)
}

// Resize changes the number of workers. Of too many, those with the highest task ids end.
func (p *Pool) Resize(count int) error {
	_, err := p.callNumber("Resize", count,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_resize(h, n) })
	return err
}

// StopWorker stops one worker, which is not restarted. ReplaceWorker starts one again.
func (p *Pool) StopWorker(taskID int) error {
	_, err := p.callNumber("StopWorker", taskID,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_stop_worker(h, n) })
	return err
}

// SetSpares changes the number of [WithSpares] while the pool runs.
func (p *Pool) SetSpares(count int) error {
	_, err := p.callNumber("SetSpares", count,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_set_spares(h, n) })
	return err
}

// Counter is a number about a pool, for metrics.
type Counter int

// The counters; pf_pool_counter(3) tells what each counts.
const (
	CountStarted       Counter = C.PF_COUNT_STARTED
	CountExited        Counter = C.PF_COUNT_EXITED
	CountAbnormal      Counter = C.PF_COUNT_ABNORMAL
	CountRestarted     Counter = C.PF_COUNT_RESTARTED
	CountStartFailed   Counter = C.PF_COUNT_START_FAILED
	CountUnresponsive  Counter = C.PF_COUNT_UNRESPONSIVE
	CountReloads       Counter = C.PF_COUNT_RELOADS
	CountReady         Counter = C.PF_COUNT_READY
	CountAlive         Counter = C.PF_COUNT_ALIVE
	CountReplaceFailed Counter = C.PF_COUNT_REPLACE_FAILED
	CountSpares        Counter = C.PF_COUNT_SPARES
)

// Counter returns a number about the pool. It is 0 before Run and after Close.
func (p *Pool) Counter(which Counter) uint64 {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.handle == nil {
		return 0
	}
	return uint64(C.pf_pool_counter(p.handle, C.int(which)))
}

// ReplaceWorker replaces one worker as Reload does, or starts one where there is none.
func (p *Pool) ReplaceWorker(taskID int) error {
	_, err := p.callNumber("ReplaceWorker", taskID,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_replace_worker(h, n) })
	return err
}

// SendSignal sends a signal to one worker, or to all with task id -1. To die of it is abnormal.
func (p *Pool) SendSignal(taskID int, signal syscall.Signal) error {
	_, err := p.callNumber("SendSignal", taskID, func(h *C.pf_pool, n C.int) C.int {
		return C.pf_pool_send_signal(h, n, C.int(signal))
	})
	return err
}

// WorkerCount returns the number of slots, which task ids are below.
func (p *Pool) WorkerCount() (int, error) {
	return p.call("WorkerCount",
		func(h *C.pf_pool) C.int { return C.pf_pool_worker_count(h) })
}

// AliveCount returns the number of processes, those included that are being replaced.
func (p *Pool) AliveCount() (int, error) {
	return p.call("AliveCount",
		func(h *C.pf_pool) C.int { return C.pf_pool_alive_count(h) })
}

// WorkerPID returns the process id of a worker; 0: there is none now. While a worker is being
// replaced, this and the following methods speak of the old one until the new one is good.
func (p *Pool) WorkerPID(taskID int) (int, error) {
	return p.callNumber("WorkerPID", taskID,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_worker_pid(h, n) })
}

// WorkerState returns what a worker does.
func (p *Pool) WorkerState(taskID int) (WorkerState, error) {
	state, err := p.callNumber("WorkerState", taskID,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_worker_state(h, n) })
	return WorkerState(state), err
}

// WorkerRestarts returns how often a worker was started anew after abnormal ends.
func (p *Pool) WorkerRestarts(taskID int) (int, error) {
	return p.callNumber("WorkerRestarts", taskID,
		func(h *C.pf_pool, n C.int) C.int { return C.pf_pool_worker_restarts(h, n) })
}

// WorkerUptime returns how long the process of a worker has lived; 0: there is none now.
func (p *Pool) WorkerUptime(taskID int) (time.Duration, error) {
	var uptime C.uint64_t
	_, err := p.callNumber("WorkerUptime", taskID, func(h *C.pf_pool, n C.int) C.int {
		uptime = C.pf_pool_worker_uptime_ms(h, n)
		return C.pf_pool_worker_state(h, n) // which tells whether there is such a slot
	})
	return time.Duration(uptime) * time.Millisecond, err
}
