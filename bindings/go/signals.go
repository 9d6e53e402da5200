// SPDX-License-Identifier: MIT

package prefork

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// request is what a signal asks of a pool.
type request int

const (
	stopGracefully request = iota + 1
	stopQuickly
	reload
	oneMore
	oneLess
	passOn
)

const (
	quickStopTime = time.Second
	sameRequest   = 200 * time.Millisecond // a second signal within it is the same request
)

// As pf_pool_set_signals(3) has them, which leaves them to Go here.
var standardSignals = map[os.Signal]request{
	syscall.SIGTERM:  stopGracefully,
	syscall.SIGINT:   stopQuickly,
	syscall.SIGQUIT:  stopQuickly,
	syscall.SIGHUP:   reload,
	syscall.SIGTTIN:  oneMore,
	syscall.SIGTTOU:  oneLess,
	syscall.SIGUSR1:  passOn,
	syscall.SIGUSR2:  passOn,
	syscall.SIGWINCH: passOn,
}

// As pf_fork_processes(3) has them.
var stopSignals = map[os.Signal]request{
	syscall.SIGTERM: stopGracefully,
	syscall.SIGINT:  stopGracefully,
	syscall.SIGQUIT: stopGracefully,
	syscall.SIGHUP:  stopGracefully,
}

// obeySignals begins to listen to signals, and returns what ends that.
func (p *Pool) obeySignals() (end func()) {
	received := make(chan os.Signal, 16)
	for number := range p.signals {
		if !signal.Ignored(number) {
			signal.Notify(received, number)
		}
	}
	done := make(chan struct{})
	go p.obey(received, done)
	return func() {
		signal.Stop(received)
		close(done)
	}
}

func (p *Pool) obey(received <-chan os.Signal, done <-chan struct{}) {
	var first time.Time
	var quick <-chan time.Time
	for {
		select {
		case <-done:
			return
		case <-quick:
			p.Kill()
		case number := <-received:
			asked := p.signals[number]
			switch {
			case asked != stopGracefully && asked != stopQuickly:
				p.act(asked, number.(syscall.Signal))
			case first.IsZero():
				first = time.Now()
				if asked == stopQuickly {
					quick = time.After(quickStopTime)
				}
				p.stopBy(number.(syscall.Signal))
			case time.Since(first) >= sameRequest:
				p.Kill()
			}
		}
	}
}

// act does what is no stop. What fails because the pool ends has no meaning any more.
func (p *Pool) act(asked request, number syscall.Signal) {
	count, err := p.WorkerCount()
	if err != nil {
		return
	}
	switch asked {
	case reload:
		p.Reload()
	case oneMore:
		p.Resize(count + 1)
	case oneLess:
		p.Resize(count - 1) // never to 0: the library refuses
	case passOn:
		for taskID := 0; taskID < count; taskID++ {
			if state, err := p.WorkerState(taskID); err == nil && state == WorkerReady {
				p.Signal(taskID, number)
			}
		}
	}
}

func (p *Pool) stopBy(number syscall.Signal) {
	p.mutex.Lock()
	p.stopSignal = number
	p.mutex.Unlock()
	p.Stop()
}

// StopSignal returns the signal by which [WithSignals] has stopped the pool; 0: none.
func (p *Pool) StopSignal() syscall.Signal {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.stopSignal
}
