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

// flushSignals returns when the pool has each signal that Go's runtime has received.
func (p *Pool) flushSignals() {
	if p.flush == nil {
		return
	}
	idle := make(chan os.Signal, 1)
	signal.Notify(idle, syscall.SIGURG)
	signal.Stop(idle) // waits until all that came before is in its channel
	flushed := make(chan struct{})
	p.flush <- flushed
	<-flushed
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
	flush := make(chan chan struct{})
	p.flush = flush
	go func() {
		for {
			select {
			case <-done:
				return
			case number := <-received:
				p.received(number.(syscall.Signal))
			case flushed := <-flush:
				for len(received) > 0 {
					p.received((<-received).(syscall.Signal))
				}
				close(flushed)
			}
		}
	}()
	return func() {
		signal.Stop(received)
		close(done)
	}
}
