// SPDX-License-Identifier: MIT

package prefork

// #include "limit.h"
import "C"

import (
	"fmt"
	"syscall"
)

// raisedLimit is the soft limit on open files that Go has set; 0: not known.
var raisedLimit = softLimit()

func softLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return limit.Cur
}

// limitVariable tells a worker of this program the limit that its children are to have: as with
// os/exec, what was set before the program started, unless the program has set another.
func limitVariable() (string, bool) {
	start := uint64(C.limit_at_start())
	if start == 0 || start == raisedLimit || softLimit() != raisedLimit {
		return "", false
	}
	return fmt.Sprintf("%s=%d", C.LIMIT_VARIABLE, start), true
}
