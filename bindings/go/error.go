// SPDX-License-Identifier: MIT

package prefork

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
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
	Op    string // the option, method or function, such as "WithWorkers"; "" in an [Event]
	Value string // what was refused, such as "65537"; "": nothing in particular
	Code  int    // a negative errno, or one of the library's own codes, which lie below -4096
}

// Error names the operation, the value and the cause, such as "prefork: WithWorkers(65537):
// invalid argument".
func (e *Error) Error() string {
	text := C.GoString(C.pf_strerror(C.int(e.Code)))
	if cause := e.Unwrap(); cause != nil {
		text = cause.Error()
	}
	if e.Op == "" {
		return "prefork: " + text
	}
	if e.Value != "" {
		return "prefork: " + e.Op + "(" + e.Value + "): " + text
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

// invalid is the error of a value that the library cannot be given.
func invalid(op, value string) error {
	return &Error{Op: op, Value: value, Code: -int(syscall.EINVAL)}
}

// checkValue makes an error of a negative code, which names the value that was set.
func checkValue(op, value string, code C.int) error {
	if code >= 0 {
		return nil
	}
	return &Error{Op: op, Value: value, Code: int(code)}
}

// cString copies a string for the library, where a NUL byte would end it too early. The caller
// frees it.
func cString(op, text string) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, invalid(op, strconv.Quote(text))
	}
	return C.CString(text), nil
}

// number converts an int for the library, which takes 32 bits.
func number(op string, value int) (C.int, error) {
	if value > math.MaxInt32 || value < math.MinInt32 {
		return 0, invalid(op, strconv.Itoa(value))
	}
	return C.int(value), nil
}

// milliseconds rounds up, so that no time becomes "none".
func milliseconds(op string, d time.Duration) (C.uint64_t, error) {
	if d < 0 {
		return 0, invalid(op, d.String())
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
