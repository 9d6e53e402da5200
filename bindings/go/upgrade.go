// SPDX-License-Identifier: MIT

package prefork

// #include <stdlib.h>
// #include "shim.h"
// #include "upgrade.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

// upgrade is a request to the goroutine that supervises.
type upgrade struct {
	path      string
	args, env []string
	result    chan error
}

// Upgrade executes another program in this process, which goes on with the workers of this one:
// the process id and the workers stay, and they serve meanwhile. "" and nil stand for the program,
// the arguments and the environment of this one. It returns only if it failed; the pool goes on
// then.
//
// In the new program [Listen] and [ActivationListeners] return the sockets of this program, and
// [Pool.Run] adopts the workers of the pool with the same name, see [WithName] and [EventAdopted].
// They run the old program until [Pool.Reload]. A new program that fails ends all workers. Signals
// that come during the upgrade control the new pool, but for some milliseconds in which the new program
// starts: between Go's runtime and the init functions they have their default action.
// Read all events before: those that wait in the channel are lost.
//
// The supervisor must run in the main thread, or the error is [syscall.EPERM]:
//
//	func init() { runtime.LockOSThread() }
//
// and [Pool.Run] in the main function. Upgrade itself may be called from any goroutine.
func (p *Pool) Upgrade(path string, args, env []string) error {
	wanted := &upgrade{path, args, env, make(chan error, 1)}
	p.mutex.Lock()
	err := p.askForUpgrade(wanted)
	p.mutex.Unlock()
	if err != nil {
		return err
	}
	return <-wanted.result
}

// askForUpgrade is called with the mutex held.
func (p *Pool) askForUpgrade(wanted *upgrade) error {
	switch {
	case p.handle == nil:
		return ErrClosed
	case p.waiter == nil:
		return invalid("Upgrade", "") // it does not run
	case p.finished:
		return &Error{Op: "Upgrade", Code: -int(syscall.ECANCELED)}
	case p.upgrade != nil:
		return &Error{Op: "Upgrade", Code: -int(syscall.EBUSY)}
	}
	p.upgrade = wanted
	return check("Upgrade", C.pf_pool_wake(p.handle))
}

// upgradeIfAsked does not return if it succeeds.
func (p *Pool) upgradeIfAsked() {
	p.mutex.Lock()
	wanted := p.upgrade
	p.mutex.Unlock()
	if wanted == nil {
		return
	}
	if syscall.Gettid() == os.Getpid() { // else it will fail
		C.begin_upgrade_signals()
		defer C.end_upgrade_signals()
		p.flushSignals()
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.handle == nil {
		p.endUpgrade(ErrClosed)
		return
	}
	err := p.execute(wanted)
	if errors.Is(err, syscall.EAGAIN) { // events wait
		C.pf_pool_wake(p.handle)
		return
	}
	p.endUpgrade(err)
}

// endUpgrade is called with the mutex held.
func (p *Pool) endUpgrade(err error) {
	if p.upgrade != nil {
		p.upgrade.result <- err
		p.upgrade = nil
	}
}

func (p *Pool) execute(wanted *upgrade) error {
	const op = "Upgrade"
	path := (*C.char)(nil)
	var err error
	if wanted.path != "" {
		if path, err = cString(op, wanted.path); err != nil {
			return err
		}
		defer C.free(unsafe.Pointer(path))
	}
	argv, err := newStrings(op, wanted.args)
	if err != nil {
		return err
	}
	defer argv.free(len(wanted.args))

	// No child that another goroutine starts may inherit the listeners.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	handed, closeAll := handOverListeners()
	defer closeAll()
	env := wanted.env
	if env == nil {
		env = os.Environ()
	}
	env = append(env[:len(env):len(env)], fmt.Sprintf("%s=%d", C.UPGRADE_VARIABLE, os.Getpid()),
		C.LISTENERS_VARIABLE+"="+handed)
	if limit, ok := limitVariable(); ok {
		env = append(env, limit)
	}
	envp, err := newStrings(op, env)
	if err != nil {
		return err
	}
	defer envp.free(len(env))
	return checkValue(op, wanted.path, C.pf_upgrade(path, argv.first, envp.first))
}

// handOverListeners duplicates all listeners, and returns "DESCRIPTOR:NAME:..." of them.
func handOverListeners() (text string, closeAll func()) {
	listeners.Lock()
	defer listeners.Unlock()
	var descriptors []int
	var parts []string
	count := map[string]int{}
	for _, l := range listeners.open {
		raw, err := l.Listener.(syscall.Conn).SyscallConn()
		if err != nil {
			continue // it is closed
		}
		raw.Control(func(descriptor uintptr) {
			copied, err := syscall.Dup(int(descriptor))
			if err == nil {
				descriptors = append(descriptors, copied)
				parts = append(parts, strconv.Itoa(copied), listenerName(l.key, count[l.key]))
				count[l.key]++
			}
		})
	}
	return strings.Join(parts, ":"), func() {
		for _, descriptor := range descriptors {
			syscall.Close(descriptor)
		}
	}
}

// handedOver are the listeners of the program before this one, by their names.
var handedOver = func() map[string]*os.File {
	all := map[string]*os.File{}
	parts := strings.Split(C.GoString(C.upgrade_listeners()), ":")
	for i := 0; i+1 < len(parts); i += 2 {
		if descriptor, err := strconv.Atoi(parts[i]); err == nil {
			syscall.CloseOnExec(descriptor)
			all[parts[i+1]] = os.NewFile(uintptr(descriptor), parts[i+1])
		}
	}
	return all
}()

// closeHandedOver closes what no call of Listen has asked for. The mutex of listeners is held.
func closeHandedOver() {
	for name, file := range handedOver {
		file.Close()
		delete(handedOver, name)
	}
}

// heldSignals receives the signals from the start of an upgraded program on until it runs a pool, so
// that none of them ends the program before that.
var heldSignals = func() chan os.Signal {
	if C.is_upgraded() == 0 {
		return nil
	}
	held := make(chan os.Signal, 64)
	for _, number := range standardSignals {
		if number != syscall.SIGTTIN && number != syscall.SIGTTOU && !signal.Ignored(number) {
			signal.Notify(held, number)
		}
	}
	for number := 1; number < 64; number++ {
		if C.upgrade_signals()>>number&1 != 0 {
			held <- syscall.Signal(number)
		}
	}
	return held
}()

// releaseSignals sends the signals that were held to this process again. Several pools may begin to
// run at the same time.
var releaseSignals = sync.OnceFunc(func() {
	if heldSignals == nil {
		return
	}
	signal.Stop(heldSignals)
	for len(heldSignals) > 0 {
		syscall.Kill(os.Getpid(), (<-heldSignals).(syscall.Signal))
	}
})
