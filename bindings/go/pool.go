// SPDX-License-Identifier: MIT

package prefork

// #include <stdlib.h>
// #include "shim.h"
// #include "upgrade.h"
import "C"

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

// Pool is a set of workers that this process supervises. It is used once.
type Pool struct {
	mutex  sync.Mutex // held while the library has the handle
	handle *C.pf_pool // nil once closed

	path        string
	args, env   []string
	files       []*os.File
	deathSignal syscall.Signal
	signals     []os.Signal          // that Run takes by os/signal
	received    func(syscall.Signal) // is told of each
	logger      *slog.Logger

	prepared bool    // what workers are given is set
	waiter   *waiter // for the pool's descriptor, once it runs
	events   chan Event
	ended    bool               // events is closed, as it will not run
	wanted   bool               // someone reads events
	finished bool               // it has run
	flush    chan chan struct{} // asks for the end of signals that have come
	upgrade  *upgrade
}

// New makes a pool with the default settings and those of the options. It starts nothing.
func New(options ...Option) (*Pool, error) {
	if err := checkVersion(); err != nil {
		return nil, err
	}
	p := &Pool{deathSignal: syscall.SIGTERM, events: make(chan Event, eventsRoom)}
	if err := check("New", C.pf_pool_new(&p.handle)); err != nil {
		return nil, err
	}
	for _, option := range options {
		if err := option(p); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// Close frees the pool. Workers that are still alive are killed first, and a Run under way
// returns [ErrClosed].
func (p *Pool) Close() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.handle == nil {
		return ErrClosed
	}
	if p.waiter != nil {
		p.waiter.close()
	} else {
		p.closeEvents()
	}
	p.handle = C.pf_pool_free(p.handle)
	return nil
}

// Run starts the workers and supervises them until all are done.
//
// In a worker of this pool it returns its task id at once; the pool is good for Close only
// there. In the supervisor it returns -1: with nil when all workers have ended as they should,
// which they are asked to when ctx is done, with [ErrGaveUp] or [ErrFatal], or with what else the
// pool failed with. No worker is left then.
//
// It fails with [syscall.EALREADY] if the pool has been run before: a Run that is under way goes
// on, and its workers live. So it does in a worker of another pool until that pool has been run;
// if both pools have the same name the error is [syscall.ELOOP], see [WithName].
func (p *Pool) Run(ctx context.Context) (int, error) {
	taskID, err := p.start()
	if err != nil || taskID >= 0 {
		return taskID, err
	}
	defer p.obeySignals()()
	defer context.AfterFunc(ctx, func() { p.Stop() })()
	return -1, p.supervise()
}

// Events returns a channel of all events in their order, which is closed after the last; if Run
// could not start, by [Pool.Close]. Call it before Run, and read the channel to its end: while
// nobody does, workers that end are not started again once the library has no room for more events.
func (p *Pool) Events() <-chan Event {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.wanted = true
	return p.events
}

// start returns a task id in a worker, and -1 in the supervisor.
func (p *Pool) start() (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.handle == nil {
		return -1, ErrClosed
	}
	if !p.prepared {
		if err := p.setProgram(); err != nil {
			return -1, err
		}
		if err := p.addListeners(); err != nil {
			return -1, err
		}
		p.prepared = true
	}
	started := C.pf_pool_start(p.handle)
	if started == -C.int(syscall.EALREADY) {
		// In a worker that has not taken its place, run does not fork. Elsewhere it fails.
		taskID := C.int(-1)
		if err := check("Run", C.pf_pool_run(p.handle, &taskID)); err != nil {
			return -1, err
		}
		p.closeEvents()
		return int(taskID), watchSupervisor(p.deathSignal)
	}
	if err := checkValue("Run", p.path, started); err != nil {
		return -1, err
	}
	waiter, err := newWaiter(C.pf_pool_fd(p.handle), "prefork pool")
	if err != nil {
		p.handle = C.pf_pool_free(p.handle) // no worker has been started yet
		p.closeEvents()
		return -1, fmt.Errorf("prefork: Run: %w", err)
	}
	p.waiter = waiter
	if C.is_upgraded() != 0 && syscall.Gettid() == os.Getpid() {
		C.clear_signal_mask()
	}
	return -1, nil
}

// setProgram has workers be this program, or that of WithCommand. The environment is Go's, as
// that of C must not be read while other goroutines change it.
func (p *Pool) setProgram() error {
	path := (*C.char)(nil)
	if p.path != "" {
		var err error
		if path, err = cString("WithCommand", p.path); err != nil {
			return err
		}
		defer C.free(unsafe.Pointer(path))
	}
	env := p.env
	if env == nil {
		env = os.Environ()
	}
	if limit, ok := limitVariable(); ok && p.path == "" {
		env = append(env[:len(env):len(env)], limit)
	}
	argv, err := newStrings("WithCommand", p.args)
	if err != nil {
		return err
	}
	defer argv.free(len(p.args))
	envp, err := newStrings("WithCommand", env)
	if err != nil {
		return err
	}
	defer envp.free(len(env))
	return checkValue("WithCommand", p.path, C.pf_pool_set_exec(p.handle, path, argv.first, envp.first))
}

// cStrings is an array of strings in C's memory, ended by NULL.
type cStrings struct{ first **C.char }

// newStrings returns no array for nil.
func newStrings(op string, texts []string) (cStrings, error) {
	if texts == nil {
		return cStrings{}, nil
	}
	for _, text := range texts {
		if strings.IndexByte(text, 0) >= 0 {
			return cStrings{}, invalid(op, strconv.Quote(text))
		}
	}
	size := C.size_t(len(texts)+1) * C.size_t(unsafe.Sizeof((*C.char)(nil)))
	all := cStrings{(**C.char)(C.malloc(size))}
	list := unsafe.Slice(all.first, len(texts)+1)
	for i, text := range texts {
		list[i] = C.CString(text)
	}
	list[len(texts)] = nil
	return all, nil
}

func (s cStrings) free(count int) {
	if s.first == nil {
		return
	}
	for _, text := range unsafe.Slice(s.first, count) {
		C.free(unsafe.Pointer(text))
	}
	C.free(unsafe.Pointer(s.first))
}

// addDescriptor hands on what has one. Its Fd method would make it block for all processes.
func (p *Pool) addDescriptor(name string, file syscall.Conn) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("prefork: WithFile(%q): %w", name, err)
	}
	text, err := cString("WithFile", name)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(text))
	controlErr := raw.Control(func(descriptor uintptr) {
		err = checkValue("WithFile", strconv.Quote(name), C.pf_pool_add_fd(p.handle, text, C.int(descriptor)))
	})
	if controlErr != nil {
		return fmt.Errorf("prefork: WithFile(%q): %w", name, controlErr)
	}
	return err
}

// closeEvents is for a pool that will not run.
func (p *Pool) closeEvents() {
	if !p.ended {
		p.ended = true
		close(p.events)
	}
}
