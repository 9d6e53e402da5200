// SPDX-License-Identifier: MIT
#include "runtime/event.h"

#include "base/codes.h"
#include "base/text.h"
#include "os/process/report.h"

namespace prefork::runtime {

namespace {

using base::Text;
using core::Event;
using core::EventType;
using core::Exit;

int64_t milliseconds(core::Duration duration) {
    return static_cast<int64_t>(base::whole_milliseconds(duration));
}

Text &add_name(Text &text, int32_t task_id) {
    return task_id == base::task_spare ? text.add("spare child")
                                       : text.add("child ").add(int64_t{task_id});
}

Text &add_child(Text &text, int32_t task_id, int32_t pid) {
    return add_name(text, task_id).add(" (pid ").add(int64_t{pid}).add(")");
}

Text &add_child(Text &text, const Event &event) {
    return add_child(text, event.task_id, event.pid);
}

void add_delay(Text &text, const Event &event) {
    if (event.delay > 0) {
        text.add(" in ").add(milliseconds(event.delay)).add(" ms");
    }
}

// Tornado's lines, and ", restarting" only where it is true.
void add_exit(Text &text, const Event &event) {
    add_child(text, event);
    switch (event.exit.kind) {
    case Exit::Kind::exited:
        if (event.exit.code == 0) {
            text.add(" exited normally");
        } else {
            text.add(" exited with status ").add(int64_t{event.exit.code});
        }
        break;
    case Exit::Kind::signaled:
        text.add(" killed by signal ").add(int64_t{event.exit.code});
        break;
    case Exit::Kind::unknown:
        text.add(" ended with unknown status");
        break;
    }
    if (event.will_restart) {
        text.add(", restarting");
        add_delay(text, event);
    }
    if (event.reason == core::Reason::out_of_memory) {
        text.add("; the kernel has killed for lack of memory");
    }
}

void add_start_failure(Text &text, const Event &event) {
    add_name(text, event.task_id).add(" could not be started: ");
    text.add(os::error_text(event.error));
    if (event.will_restart) {
        text.add(", trying again");
        add_delay(text, event);
    }
}

void add_unresponsive(Text &text, const Event &event) {
    add_child(text, event);
    if (event.error == 0) {
        text.add(" does not respond, killing");
    } else if (event.error == base::code_protocol) {
        text.add(" sends too many messages, killing");
    } else {
        text.add(" could not be sent signal ").add(int64_t{event.signal}).add(": ");
        text.add(os::error_text(event.error));
    }
}

void add_stopping(Text &text, const Event &event) {
    text.add("Stopping ").add(int64_t{event.count}).add(" processes");
    if (event.signal != 0) {
        text.add(" on signal ").add(int64_t{event.signal});
    }
}

void format(const Event &event, Text &text) {
    switch (event.type) {
    case EventType::starting:
        text.add("Starting ").add(int64_t{event.count}).add(" processes");
        break;
    case EventType::adopted:
        text.add("Adopted ").add(int64_t{event.count}).add(" processes");
        break;
    case EventType::started:
    case EventType::spare_started:
        add_child(text, event).add(" started");
        break;
    case EventType::exited:
    case EventType::spare_exited:
        add_exit(text, event);
        break;
    case EventType::gave_up:
        if (event.error == base::code_fatal) {
            text.add("A child exited with a fatal status, giving up");
        } else if (event.before_ready) {
            text.add("No child became ready, giving up");
        } else {
            text.add("Too many child restarts, giving up");
        }
        break;
    case EventType::start_failed:
        add_start_failure(text, event);
        break;
    case EventType::stopping:
        add_stopping(text, event);
        break;
    case EventType::killed:
        add_child(text, event).add(" did not stop within ").add(milliseconds(event.delay));
        text.add(" ms, killed");
        break;
    case EventType::ready:
        add_child(text, event).add(" is ready");
        break;
    case EventType::unresponsive:
        add_unresponsive(text, event);
        break;
    case EventType::reloading:
        text.add("Reloading ").add(int64_t{event.count}).add(" processes");
        break;
    case EventType::reloaded:
        text.add("Reloaded ").add(int64_t{event.count}).add(" processes");
        break;
    case EventType::reload_failed:
        text.add("child ").add(int64_t{event.task_id}).add(" could not be replaced");
        break;
    case EventType::resized:
        text.add("Resized to ").add(int64_t{event.count}).add(" processes");
        break;
    case EventType::signal_unavailable:
        text.add("signal ").add(int64_t{event.signal});
        text.add(" does not control the pool: the program handles, ignores or blocks it");
        break;
    case EventType::fork_wanted:
        if (event.task_id == base::task_spare) {
            text.add("fork a spare child");
        } else {
            text.add("fork slot ").add(int64_t{event.task_id});
        }
        break;
    case EventType::done:
        text.add(event.level == core::Level::error ? "Some processes could not be ended"
                                                   : "All processes have ended");
        break;
    }
}

} // namespace

const char *message_of(const pf_event &event) {
    if (!event.has_message) {
        Text text(event.message, sizeof(event.message));
        format(event.value, text);
        event.has_message = true;
    }
    return event.message;
}

void report_left(int32_t task_id, int32_t pid, int error) {
    char line[pf_event::message_max + 16];
    Text text(line, sizeof(line));
    add_child(text.add("prefork: "), task_id, pid).add(" ");
    if (error == 0) {
        text.add("was killed and has not ended yet, left behind\n");
    } else {
        text.add("could not be killed, left behind: ").add(os::error_text(error)).add("\n");
    }
    os::write_to_stderr(line, text.length());
}

void report_to_stderr(const pf_event *event, void * /*user*/) {
    if (event->value.level > core::Level::warning) {
        os::report_lost_messages();
        return;
    }
    char line[pf_event::message_max + 16];
    Text text(line, sizeof(line));
    text.add("prefork: ").add(message_of(*event)).add("\n");
    os::write_to_stderr(line, text.length());
}

} // namespace prefork::runtime
