// SPDX-License-Identifier: MIT

package prefork

// #include "shim.h"
import "C"

import (
	"context"
	"log/slog"
	"syscall"
	"time"
)

const (
	eventsRoom = 64                    // events that wait in the channel, beside the library's own
	sendTime   = 20 * time.Millisecond // between dispatches while nobody reads events
)

// supervise drives the pool to its end. Nobody has to read the events for that: what is left of
// them is sent afterwards.
func (p *Pool) supervise() (err error) {
	var left []Event
	defer func() { p.finish(left) }()
	for lives := true; lives; {
		if waitErr := p.waiter.wait(); waitErr != nil {
			if closeErr := p.Close(); closeErr != nil {
				return closeErr // it was closed, which ended the wait
			}
			return waitErr
		}
		lives, err = p.dispatch()
		for {
			event, ok, wanted := p.takeEvent()
			if !ok {
				break
			}
			p.log(event)
			if wanted {
				left = append(left, event)
			}
			for lives && len(left) > 0 {
				if p.send(left[0]) {
					left = left[1:]
				} else {
					lives, err = p.dispatch()
				}
			}
		}
		if lives {
			p.upgradeIfAsked()
		}
	}
	return err
}

// dispatch does what is to be done, and tells whether the pool lives.
func (p *Pool) dispatch() (bool, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.handle == nil {
		return false, ErrClosed
	}
	result := C.pf_pool_dispatch(p.handle, 0)
	if result == 1 {
		return true, nil
	}
	switch syscall.Errno(-result) {
	case syscall.ENOENT, syscall.EACCES, syscall.ENOEXEC, syscall.ENOTDIR:
		if p.path != "" { // the program cannot be executed
			return false, checkValue("WithCommand", p.path, result)
		}
	}
	return false, check("Run", result)
}

func (p *Pool) takeEvent() (event Event, ok, wanted bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var fields C.struct_event_fields
	if p.handle == nil || C.take_event(p.handle, &fields) != 1 {
		return Event{}, false, false
	}
	return eventOf(&fields), true, p.wanted
}

// send waits for a reader only for a moment, as the workers need attention meanwhile.
func (p *Pool) send(event Event) bool {
	select {
	case p.events <- event:
		return true
	default:
	}
	timer := time.NewTimer(sendTime)
	defer timer.Stop()
	select {
	case p.events <- event:
		return true
	case <-timer.C:
		return false
	}
}

func (p *Pool) finish(left []Event) {
	p.mutex.Lock()
	p.waiter.close()
	p.finished = true
	p.endUpgrade(&Error{Op: "Upgrade", Code: -int(syscall.ECANCELED)})
	p.mutex.Unlock()
	go func() {
		for _, event := range left {
			p.events <- event
		}
		close(p.events)
	}()
}

func (p *Pool) log(event Event) {
	logger := p.logger
	if logger == nil {
		if event.Level < slog.LevelWarn {
			return
		}
		logger = slog.Default()
	}
	logger.LogAttrs(context.Background(), event.Level, event.Message, event.attributes()...)
}
