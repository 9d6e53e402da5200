// SPDX-License-Identifier: MIT

package prefork

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// Handle is the library's pool.
func (p *Pool) Handle() unsafe.Pointer {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return unsafe.Pointer(p.handle)
}

// GraceTime is for how long a [Drainer] waits for idle connections.
var GraceTime = &graceTime

// CompareVersions is what tells that the library is too old.
var CompareVersions = compareVersions

// RunFromThreadThatEnds is Run, with workers that are started by a thread which then ends. It is
// not the first thread, which never does.
func (p *Pool) RunFromThreadThatEnds() error {
	if _, err := p.start(); err != nil {
		return err
	}
	threads := make(chan int)
	for thread := os.Getpid(); thread == os.Getpid(); {
		go func() {
			runtime.LockOSThread() // and does not unlock it, so that it ends with this goroutine
			own := syscall.Gettid()
			if own != os.Getpid() {
				p.dispatch()
			}
			threads <- own
		}()
		thread = <-threads
		path := fmt.Sprintf("/proc/self/task/%d", thread)
		for thread != os.Getpid() && syscall.Access(path, 0) == nil {
			time.Sleep(time.Millisecond)
		}
	}
	return p.supervise()
}
