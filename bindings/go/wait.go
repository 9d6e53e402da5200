// SPDX-License-Identifier: MIT

package prefork

// #include "shim.h"
import "C"

import (
	"os"
	"syscall"
)

// waiter waits for a descriptor of the library in Go's own poller, which takes no thread.
type waiter struct {
	file *os.File // a duplicate: the descriptor itself is the library's to close
	raw  syscall.RawConn
}

func newWaiter(descriptor C.int, name string) (*waiter, error) {
	file, err := duplicate(uintptr(descriptor), name)
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &waiter{file, raw}, nil
}

// wait returns nil when the descriptor is readable, and an error after close.
func (w *waiter) wait() error {
	return w.raw.Read(func(descriptor uintptr) bool {
		return C.is_readable(C.int(descriptor)) != 0
	})
}

func (w *waiter) close() { w.file.Close() }

// duplicate returns a file of its own that Go's poller knows. The flag O_NONBLOCK is shared with
// the original, for which it is right, or means nothing.
func duplicate(descriptor uintptr, name string) (*os.File, error) {
	copied, err := duplicateFd(descriptor)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(int(copied), true); err != nil {
		syscall.Close(int(copied))
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(copied, name), nil
}

// duplicateFd returns a close-on-exec duplicate.
func duplicateFd(descriptor uintptr) (uintptr, error) {
	copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, descriptor, syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return 0, os.NewSyscallError("fcntl", errno)
	}
	return copied, nil
}
