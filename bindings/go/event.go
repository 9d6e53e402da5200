// SPDX-License-Identifier: MIT

package prefork

// #include "shim.h"
import "C"

import (
	"fmt"
	"log/slog"
	"syscall"
	"time"
)

// EventType says what happened.
type EventType int

// The types of events; pf_event(3) tells which fields go with which.
const (
	EventStarting     EventType = C.PF_EVENT_STARTING      // the pool begins to start its workers
	EventStarted      EventType = C.PF_EVENT_STARTED       // a worker was started
	EventReady        EventType = C.PF_EVENT_READY         // a worker called Ready
	EventExited       EventType = C.PF_EVENT_EXITED        // a worker ended
	EventGaveUp       EventType = C.PF_EVENT_GAVE_UP       // too many restarts
	EventStartFailed  EventType = C.PF_EVENT_START_FAILED  // a worker could not be started
	EventStopping     EventType = C.PF_EVENT_STOPPING      // the pool begins to stop its workers
	EventKilled       EventType = C.PF_EVENT_KILLED        // a worker did not stop in time
	EventUnresponsive EventType = C.PF_EVENT_UNRESPONSIVE  // not ready in time, or no sign of life
	EventReloading    EventType = C.PF_EVENT_RELOADING     // the workers are being replaced
	EventReloaded     EventType = C.PF_EVENT_RELOADED      // all have been
	EventReloadFailed EventType = C.PF_EVENT_RELOAD_FAILED // a new worker ended too soon
	EventResized      EventType = C.PF_EVENT_RESIZED       // the pool has another number of slots
	// EventSignalUnavailable does not occur in Go, whose runtime has the signals.
	EventSignalUnavailable EventType = C.PF_EVENT_SIGNAL_UNAVAILABLE
	EventDone              EventType = C.PF_EVENT_DONE    // the pool has ended; its last event
	EventAdopted           EventType = C.PF_EVENT_ADOPTED // instead of Starting, after an upgrade
	EventSpareStarted      EventType = C.PF_EVENT_SPARE_STARTED
	EventSpareExited       EventType = C.PF_EVENT_SPARE_EXITED // without having had a slot
)

var eventNames = map[EventType]string{
	EventStarting: "Starting", EventStarted: "Started", EventReady: "Ready",
	EventExited: "Exited", EventGaveUp: "GaveUp", EventStartFailed: "StartFailed",
	EventStopping: "Stopping", EventKilled: "Killed", EventUnresponsive: "Unresponsive",
	EventReloading: "Reloading", EventReloaded: "Reloaded", EventReloadFailed: "ReloadFailed",
	EventResized: "Resized", EventSignalUnavailable: "SignalUnavailable", EventDone: "Done",
	EventAdopted: "Adopted", EventSpareStarted: "SpareStarted", EventSpareExited: "SpareExited",
}

// String returns the name without "Event", such as "Started".
func (t EventType) String() string {
	if name, ok := eventNames[t]; ok {
		return name
	}
	return fmt.Sprintf("EventType(%d)", int(t))
}

// Reason says why a worker was started or was to end, or why the pool stops.
type Reason int

// The reasons; pf_event(3) tells when each occurs.
const (
	ReasonNone             Reason = C.PF_REASON_NONE
	ReasonStart            Reason = C.PF_REASON_START
	ReasonRestart          Reason = C.PF_REASON_RESTART
	ReasonReplace          Reason = C.PF_REASON_REPLACE
	ReasonReload           Reason = C.PF_REASON_RELOAD
	ReasonLifetime         Reason = C.PF_REASON_LIFETIME
	ReasonRetire           Reason = C.PF_REASON_RETIRE
	ReasonResize           Reason = C.PF_REASON_RESIZE
	ReasonStop             Reason = C.PF_REASON_STOP
	ReasonReadyTimeout     Reason = C.PF_REASON_READY_TIMEOUT
	ReasonHeartbeatTimeout Reason = C.PF_REASON_HEARTBEAT_TIMEOUT
	ReasonLimit            Reason = C.PF_REASON_LIMIT
	ReasonProtocol         Reason = C.PF_REASON_PROTOCOL
	ReasonOutOfMemory      Reason = C.PF_REASON_OUT_OF_MEMORY
)

var reasonNames = [...]string{"None", "Start", "Restart", "Replace", "Reload", "Lifetime", "Retire",
	"Resize", "Stop", "ReadyTimeout", "HeartbeatTimeout", "Limit", "Protocol", "OutOfMemory"}

// String returns the name without "Reason", such as "Restart".
func (r Reason) String() string {
	if r < 0 || int(r) >= len(reasonNames) {
		return fmt.Sprintf("Reason(%d)", int(r))
	}
	return reasonNames[r]
}

// Event is a fact about a pool or one of its workers. Fields that mean nothing for its type have
// the value said for none.
type Event struct {
	Type        EventType
	Level       slog.Level
	Message     string         // one line
	TaskID      int            // -1: the whole pool; [TaskSpare]: a spare
	PID         int            // 0: none
	ExitCode    int            // -1: it did not exit by itself, or this is unknown
	Signal      syscall.Signal // that ended it; 0: none
	CoreDumped  bool
	WillRestart bool
	Err         error         // nil: none; see [Error]
	Restarts    int           // counted so far in the pool
	Delay       time.Duration // before the restart
	Uptime      time.Duration // of the worker that ended
	Monotonic   time.Duration // when it happened, by CLOCK_MONOTONIC
	UserTime    time.Duration // of the processor, of the worker that ended
	SystemTime  time.Duration
	MaxRSS      int64 // its largest resident set, in bytes
	Reason      Reason
	WorkerCount int // slots; of Adopted and Stopping, processes; 0: none
}

// LogValue returns the fields that an event of this type has.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(e.attributes()...)
}

func (e Event) attributes() []slog.Attr {
	attributes := []slog.Attr{slog.String("event", e.Type.String())}
	if e.TaskID != -1 {
		attributes = append(attributes, slog.Int("task_id", e.TaskID))
	}
	if e.PID != 0 {
		attributes = append(attributes, slog.Int("pid", e.PID))
	}
	if e.Type == EventExited {
		attributes = append(attributes, slog.Int("exit_code", e.ExitCode),
			slog.Int("signal", int(e.Signal)), slog.Bool("will_restart", e.WillRestart),
			slog.Duration("uptime", e.Uptime))
	}
	if e.Reason != ReasonNone {
		attributes = append(attributes, slog.String("reason", e.Reason.String()))
	}
	if e.Delay != 0 {
		attributes = append(attributes, slog.Duration("delay", e.Delay))
	}
	if e.Err != nil {
		attributes = append(attributes, slog.Any("error", e.Err))
	}
	return attributes
}

func eventOf(f *C.struct_event_fields) Event {
	ms, us := time.Millisecond, time.Microsecond
	event := Event{
		Type:        EventType(f._type),
		Level:       levelOf(int(f.level)),
		Message:     C.GoString(f.message),
		TaskID:      int(f.task_id),
		PID:         int(f.pid),
		ExitCode:    int(f.exit_code),
		Signal:      syscall.Signal(f.signal),
		CoreDumped:  f.core_dumped != 0,
		WillRestart: f.will_restart != 0,
		Restarts:    int(f.restarts),
		Delay:       time.Duration(f.delay_ms) * ms,
		Uptime:      time.Duration(f.uptime_ms) * ms,
		Monotonic:   time.Duration(f.time_ns),
		UserTime:    time.Duration(f.user_us) * us,
		SystemTime:  time.Duration(f.system_us) * us,
		MaxRSS:      int64(f.max_rss_kib) << 10,
		Reason:      Reason(f.reason),
		WorkerCount: int(f.worker_count),
	}
	if f.error != 0 {
		event.Err = &Error{Code: int(f.error)}
	}
	return event
}

// levelOf translates syslog's levels.
func levelOf(level int) slog.Level {
	switch {
	case level <= 3:
		return slog.LevelError
	case level == 4:
		return slog.LevelWarn
	case level <= 6:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
