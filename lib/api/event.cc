// What the host reads from an event. A null event has no field.
//
// SPDX-License-Identifier: MIT
#include "runtime/event.h"
#include "api/event_callback.h"
#include "prefork.h"

using prefork::base::millisecond;
using prefork::base::whole_milliseconds;
using prefork::core::Duration;
using prefork::core::EventType;
using prefork::core::Exit;
using prefork::core::Reason;

static_assert(PF_EVENT_STARTING == static_cast<int>(EventType::starting));
static_assert(PF_EVENT_STARTED == static_cast<int>(EventType::started));
static_assert(PF_EVENT_READY == static_cast<int>(EventType::ready));
static_assert(PF_EVENT_EXITED == static_cast<int>(EventType::exited));
static_assert(PF_EVENT_GAVE_UP == static_cast<int>(EventType::gave_up));
static_assert(PF_EVENT_START_FAILED == static_cast<int>(EventType::start_failed));
static_assert(PF_EVENT_STOPPING == static_cast<int>(EventType::stopping));
static_assert(PF_EVENT_KILLED == static_cast<int>(EventType::killed));
static_assert(PF_EVENT_UNRESPONSIVE == static_cast<int>(EventType::unresponsive));
static_assert(PF_EVENT_RELOADING == static_cast<int>(EventType::reloading));
static_assert(PF_EVENT_RELOADED == static_cast<int>(EventType::reloaded));
static_assert(PF_EVENT_RELOAD_FAILED == static_cast<int>(EventType::reload_failed));
static_assert(PF_EVENT_RESIZED == static_cast<int>(EventType::resized));
static_assert(PF_EVENT_DONE == static_cast<int>(EventType::done));
static_assert(PF_EVENT_FORK_WANTED == static_cast<int>(EventType::fork_wanted));
static_assert(PF_EVENT_SIGNAL_UNAVAILABLE == static_cast<int>(EventType::signal_unavailable));
static_assert(PF_EVENT_ADOPTED == static_cast<int>(EventType::adopted));
static_assert(PF_EVENT_SPARE_STARTED == static_cast<int>(EventType::spare_started));
static_assert(PF_EVENT_SPARE_EXITED == static_cast<int>(EventType::spare_exited));

static_assert(PF_REASON_NONE == static_cast<int>(Reason::none));
static_assert(PF_REASON_START == static_cast<int>(Reason::start));
static_assert(PF_REASON_RESTART == static_cast<int>(Reason::restart));
static_assert(PF_REASON_REPLACE == static_cast<int>(Reason::replace));
static_assert(PF_REASON_RELOAD == static_cast<int>(Reason::reload));
static_assert(PF_REASON_LIFETIME == static_cast<int>(Reason::lifetime));
static_assert(PF_REASON_RETIRE == static_cast<int>(Reason::retire));
static_assert(PF_REASON_RESIZE == static_cast<int>(Reason::resize));
static_assert(PF_REASON_STOP == static_cast<int>(Reason::stop));
static_assert(PF_REASON_READY_TIMEOUT == static_cast<int>(Reason::ready_timeout));
static_assert(PF_REASON_HEARTBEAT_TIMEOUT == static_cast<int>(Reason::heartbeat_timeout));
static_assert(PF_REASON_LIMIT == static_cast<int>(Reason::limit));
static_assert(PF_REASON_PROTOCOL == static_cast<int>(Reason::protocol));
static_assert(PF_REASON_OUT_OF_MEMORY == static_cast<int>(Reason::out_of_memory));

namespace prefork::api {

EventCallback event_callback = {nullptr, nullptr};

} // namespace prefork::api

void pf_set_event_callback(pf_event_fn fn, void *user) {
    prefork::api::event_callback = {fn, user};
}

int pf_event_type(const pf_event *event) {
    return event == nullptr ? 0 : static_cast<int>(event->value.type);
}

const char *pf_event_type_name(int type) {
    switch (type) {
    case PF_EVENT_STARTING:
        return "starting";
    case PF_EVENT_STARTED:
        return "worker_started";
    case PF_EVENT_READY:
        return "worker_ready";
    case PF_EVENT_EXITED:
        return "worker_exited";
    case PF_EVENT_GAVE_UP:
        return "gave_up";
    case PF_EVENT_START_FAILED:
        return "start_failed";
    case PF_EVENT_STOPPING:
        return "stopping";
    case PF_EVENT_KILLED:
        return "worker_killed";
    case PF_EVENT_UNRESPONSIVE:
        return "worker_unresponsive";
    case PF_EVENT_RELOADING:
        return "reloading";
    case PF_EVENT_RELOADED:
        return "reloaded";
    case PF_EVENT_RELOAD_FAILED:
        return "reload_failed";
    case PF_EVENT_RESIZED:
        return "resized";
    case PF_EVENT_DONE:
        return "done";
    case PF_EVENT_FORK_WANTED:
        return "fork_wanted";
    case PF_EVENT_SIGNAL_UNAVAILABLE:
        return "signal_unavailable";
    case PF_EVENT_ADOPTED:
        return "adopted";
    case PF_EVENT_SPARE_STARTED:
        return "spare_started";
    case PF_EVENT_SPARE_EXITED:
        return "spare_exited";
    default:
        return nullptr;
    }
}

int pf_event_worker_count(const pf_event *event) {
    switch (pf_event_type(event)) {
    case PF_EVENT_STARTING:
    case PF_EVENT_ADOPTED:
    case PF_EVENT_STOPPING:
    case PF_EVENT_RELOADING:
    case PF_EVENT_RELOADED:
    case PF_EVENT_RESIZED:
        return event->value.count;
    default:
        return 0;
    }
}

int pf_event_reason(const pf_event *event) {
    return event == nullptr ? PF_REASON_NONE : static_cast<int>(event->value.reason);
}

int pf_event_level(const pf_event *event) {
    return event == nullptr ? 0 : static_cast<int>(event->value.level);
}

const char *pf_event_message(const pf_event *event) {
    return event == nullptr ? "" : prefork::runtime::message_of(*event);
}

int pf_event_task_id(const pf_event *event) { return event == nullptr ? -1 : event->value.task_id; }

int32_t pf_event_pid(const pf_event *event) { return event == nullptr ? 0 : event->value.pid; }

int pf_event_exit_code(const pf_event *event) {
    if (event == nullptr || event->value.exit.kind != Exit::Kind::exited) {
        return -1;
    }
    const EventType type = event->value.type; // others have no exit, which looks like code 0
    return type == EventType::exited || type == EventType::spare_exited ? event->value.exit.code
                                                                        : -1;
}

int pf_event_signal(const pf_event *event) {
    if (event == nullptr) {
        return 0;
    }
    return event->value.exit.kind == Exit::Kind::signaled ? event->value.exit.code
                                                          : event->value.signal;
}

int pf_event_core_dumped(const pf_event *event) {
    return event != nullptr && event->value.exit.core_dumped ? 1 : 0;
}

int pf_event_will_restart(const pf_event *event) {
    return event != nullptr && event->value.will_restart ? 1 : 0;
}

int pf_event_error(const pf_event *event) { return event == nullptr ? 0 : event->value.error; }

int pf_event_restarts(const pf_event *event) {
    return event == nullptr ? 0 : event->value.restarts;
}

uint64_t pf_event_delay_ms(const pf_event *event) {
    return event == nullptr ? 0 : whole_milliseconds(event->value.delay);
}

uint64_t pf_event_uptime_ms(const pf_event *event) {
    return event == nullptr ? 0 : event->value.uptime / millisecond;
}

uint64_t pf_event_time_ns(const pf_event *event) {
    return event == nullptr ? 0 : event->value.time;
}

uint64_t pf_event_user_us(const pf_event *event) {
    return event == nullptr ? 0 : event->value.exit.user_us;
}

uint64_t pf_event_system_us(const pf_event *event) {
    return event == nullptr ? 0 : event->value.exit.system_us;
}

uint64_t pf_event_max_rss_kib(const pf_event *event) {
    return event == nullptr ? 0 : event->value.exit.max_rss_kib;
}
