// SPDX-License-Identifier: MIT

package prefork

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"syscall"
	"time"
)

// What errors.Is finds in the errors of this package, beside a [syscall.Errno].
var (
	// ErrGaveUp: more restarts were needed than are allowed. The other workers were stopped.
	ErrGaveUp = errors.New("too many restarts")
	// ErrFatal: a worker exited with a status of [ExitFatal]. The others were stopped.
	ErrFatal = errors.New("a worker exited with a fatal status")
	// ErrClosed: [Pool.Close] was called. It is an os.ErrClosed, too.
	ErrClosed = fmt.Errorf("prefork: the pool: %w", os.ErrClosed)
	// ErrLibraryTooOld: the libprefork that runs is older than the one this program was built with.
	ErrLibraryTooOld = errors.New("prefork: libprefork is too old")
)

// Error is a failure that the library reported.
type Error struct {
	Op   string // the function of the library, such as "pf_pool_start"; "" in an [Event]
	Code int    // a negative errno, or one of the library's own codes, which lie below -4096
}

// Error returns the library's own text.
func (e *Error) Error() string {
	text := C.GoString(C.pf_strerror(C.int(e.Code)))
	if e.Op == "" {
		return "prefork: " + text
	}
	return "prefork: " + e.Op + ": " + text
}

// Unwrap returns a [syscall.Errno], [ErrGaveUp] or [ErrFatal].
func (e *Error) Unwrap() error {
	switch {
	case e.Code == C.PF_EGAVEUP:
		return ErrGaveUp
	case e.Code == C.PF_EFATAL:
		return ErrFatal
	case e.Code < 0 && e.Code > -4096:
		return syscall.Errno(-e.Code)
	}
	return nil
}

// check makes an error of a negative code.
func check(op string, code C.int) error {
	if code >= 0 {
		return nil
	}
	return &Error{Op: op, Code: int(code)}
}

// number converts an int for the library, which takes 32 bits.
func number(op string, value int) (C.int, error) {
	if value > math.MaxInt32 || value < math.MinInt32 {
		return 0, &Error{Op: op, Code: -int(syscall.EINVAL)}
	}
	return C.int(value), nil
}

// milliseconds rounds up, so that no time becomes "none".
func milliseconds(op string, d time.Duration) (C.uint64_t, error) {
	if d < 0 {
		return 0, &Error{Op: op, Code: -int(syscall.EINVAL)}
	}
	ms := d / time.Millisecond
	if d%time.Millisecond != 0 {
		ms++
	}
	return C.uint64_t(ms), nil
}

// The symbols of the library alone do not tell: they are looked up when they are called.
var checkVersion = sync.OnceValue(func() error {
	return compareVersions(Version(), C.PF_VERSION_MAJOR, C.PF_VERSION_MINOR, C.PF_VERSION_PATCH)
})

func compareVersions(running string, major, minor, patch int) error {
	var a, b, c int
	_, err := fmt.Sscanf(running, "%d.%d.%d", &a, &b, &c)
	older := a < major || (a == major && (b < minor || (b == minor && c < patch)))
	if err != nil || older {
		return fmt.Errorf("%w: it is version %s, and this program was built with %d.%d.%d",
			ErrLibraryTooOld, running, major, minor, patch)
	}
	return nil
}
