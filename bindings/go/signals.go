// SPDX-License-Identifier: MIT

package prefork

// #include "shim.h"
import "C"

import (
	"os"
	"os/signal"
	"syscall"
)

// Those of PF_SIGNALS_STANDARD, which Go's runtime does not leave to the library.
var standardSignals = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGTTIN,
	syscall.SIGTTOU, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH,
}

// Those of pf_fork_processes, of which each asks for a graceful stop.
var stopSignals = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP}

// obeySignals begins to hand signals to the pool, and returns what ends that.
func (p *Pool) obeySignals() (end func()) {
	received := make(chan os.Signal, 16)
	for _, number := range p.signals {
		if !signal.Ignored(number) {
			signal.Notify(received, number)
		}
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case number := <-received:
				p.received(number.(syscall.Signal))
			}
		}
	}()
	return func() {
		signal.Stop(received)
		close(done)
	}
}
