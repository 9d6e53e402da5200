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

// hasTerminal tells whether this process is in the session of a terminal. The kernel then sends
// SIGTTIN and SIGTTOU to stop a background job that uses the terminal. Go does not tell who sent a
// signal, and a handler that is no stop would have the call of that job restart without end.
func hasTerminal() bool {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDONLY|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	terminal.Close()
	return true
}

// isOfTerminal tells whether a signal is left to the terminal.
func isOfTerminal(number os.Signal) bool {
	return (number == syscall.SIGTTIN || number == syscall.SIGTTOU) && hasTerminal()
}

// obeySignals begins to hand signals to the pool, and returns what ends that.
func (p *Pool) obeySignals() (end func()) {
	received := make(chan os.Signal, 16)
	for _, number := range p.signals {
		if !signal.Ignored(number) && !isOfTerminal(number) {
			signal.Notify(received, number)
		}
	}
	releaseSignals()
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
