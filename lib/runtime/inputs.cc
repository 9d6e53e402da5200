// What happens to a pool, as inputs of its core.
//
// SPDX-License-Identifier: MIT
#include <bit>
#include <errno.h>
#include <utility>

#include "os/process/clock.h"
#include "runtime/pool.h"

namespace prefork::runtime {

core::Input input_of(core::Input::Kind kind, uint32_t worker) {
    core::Input input;
    input.kind = kind;
    input.worker = worker;
    return input;
}

// Returns 1 or a negative errno.
int Pool::wait_for_inputs(int timeout_ms, os::SignalBlock &block) {
    loop_.set_deadline(next_deadline());
    os::WaitResult waited;
    const bool at_once = std::exchange(ends_wait_, false);
    if (int r = loop_.wait(at_once ? 0 : timeout_ms, block, &waited); r < 0) {
        return r;
    }
    host_code_ran_ = host_code_ran_ || waited.interrupted;
    // Requests before exits: Ctrl-C reaches the supervisor and its workers together.
    (void)handle_all_requests();
    // And messages before deadlines: a worker that was ready in time is not late.
    // And before ends: a worker may have reported with which code it exits. So neither a deadline
    // nor an end waits until messages are watched for again.
    const bool not_watched = messages_resume_ != base::never && waited.ended_count > 0;
    if (waited.messages || waited.timer || not_watched ||
        waited.ended_count == os::WaitResult::ended_max) {
        read_messages();
    }
    for (uint32_t index = 0; index < waited.ended_count; index++) {
        base::Exit exit;
        if (loop_.collect(waited.ended[index], &exit)) {
            end(waited.ended[index], exit);
        }
    }
    if (waited.timer) {
        step(core::Input::Kind::tick);
        check_heartbeats();
    }
    if (reaps()) {
        orphans_.reap();
    }
    loop_.reap_for_host();
    if (waited.interrupted) {
        (void)look_for_loss(); // by a handler of the host
    }
    return 1;
}

// What follows from a SIGKILL of the host's is not the kernel's.
void Pool::note_kill(int number) {
    if (number == base::signal_kill) {
        (void)oom_count_.has_risen();
    }
}

void Pool::end(uint32_t worker, const base::Exit &exit) {
    core::Input input = input_of(core::Input::Kind::exited, worker);
    input.exit = exit;
    use_announced_exit(&input);
    // A SIGKILL of which nobody here knows.
    input.out_of_memory =
        exit.kind == core::Exit::Kind::signaled && exit.code == base::signal_kill &&
        supervisor_.worker(worker).end_reason == core::Reason::none && oom_count_.has_risen();
    channel_.ended(worker);
    step(input);
}

namespace {

core::Input::Kind input_kind_of(os::Message::Kind kind) {
    switch (kind) {
    case os::Message::Kind::ready:
        return core::Input::Kind::ready;
    case os::Message::Kind::retire:
        return core::Input::Kind::retire;
    case os::Message::Kind::hang:
        return core::Input::Kind::hang;
    case os::Message::Kind::flood:
        break;
    }
    return core::Input::Kind::flood;
}

} // namespace

// All that anybody has asked for, by a call or by a signal. Returns whether there was anything.
bool Pool::handle_all_requests() {
    const bool requested = handle_requests();
    const bool signaled = handle_own_signals();
    return requested || signaled;
}

bool Pool::handle_requests() {
    if (requests_.load(std::memory_order_relaxed) == 0) {
        return false;
    }
    const uint32_t requests = requests_.exchange(0);
    if ((requests & kill_requested) != 0) {
        step(core::Input::Kind::kill);
    } else if ((requests & stop_requested) != 0) {
        step(core::Input::Kind::stop);
    }
    if ((requests & reload_requested) != 0) {
        step(core::Input::Kind::reload);
    }
    for (uint32_t index = 0; index < os::pool_signals_max; index++) {
        if ((requests & (first_signal_requested << index)) != 0) {
            handle_signal(os::standard_request(index));
        }
    }
    return requests != 0;
}

void Pool::read_messages() {
    const base::Instant now = os::now();
    if (messages_resume_ != base::never) {
        messages_resume_ = base::never;
        loop_.watch_messages(true);
    }
    channel_.begin_read(now);
    os::Message message{};
    while (channel_.next(&message)) {
        step(input_of(input_kind_of(message.kind), message.worker));
    }
    if (read_notifications() || channel_.met_nonsense()) {
        // Whoever writes it does not get the supervisor's time as well.
        constexpr base::Duration pause = 10 * base::millisecond;
        messages_resume_ = base::after(now, pause);
        loop_.watch_messages(false);
    }
}

// Of programs that do not use this library. What others send means nothing. Returns whether the
// next read should come later: there was something of that kind, or much of any.
bool Pool::read_notifications() {
    bool of_others = false;
    os::Notification notification;
    int32_t pid = 0;
    notifications_.begin_read();
    while (notifications_.next(&notification, &pid)) {
        const uint32_t worker = pid > 0 ? loop_.find(pid) : core::no_worker;
        if (worker == core::no_worker) {
            of_others = true;
            continue;
        }
        if (notification.ready) {
            step(input_of(core::Input::Kind::ready, worker));
        }
        if (notification.alive) {
            channel_.count_heartbeat(worker);
        }
        if (notification.hangs) {
            step(input_of(core::Input::Kind::hang, worker));
        }
    }
    return of_others || notifications_.met_flood();
}

// What somebody else has reaped is known if the worker has announced it.
void Pool::use_announced_exit(core::Input *input) const {
    const int code = channel_.announced_exit(input->worker);
    if (input->exit.kind == core::Exit::Kind::unknown && code >= 0) {
        input->exit.kind = core::Exit::Kind::exited;
        input->exit.code = code;
    }
}

void Pool::check_heartbeats() {
    uint32_t worker = 0;
    while (supervisor_.pop_heartbeat_check(&worker)) {
        core::Input input = input_of(core::Input::Kind::heartbeat, worker);
        input.count = channel_.heartbeats(worker);
        step(input);
    }
}

bool Pool::handle_own_signals() {
    bool any = false;
    os::SignalRequest request{};
    while (signals_.next(&request)) {
        handle_signal(request);
        any = true;
    }
    return any;
}

void Pool::handle_signal(const os::SignalRequest &request) {
    using Kind = os::SignalRequest::Kind;
    const uint32_t slots = supervisor_.slots();
    core::Input stop = input_of(core::Input::Kind::stop);
    switch (request.kind) {
    case Kind::stop:
    case Kind::quick_stop:
        stop.signal = request.number;
        stop.quick = request.kind == Kind::quick_stop;
        step(stop);
        break;
    case Kind::reload:
        step(core::Input::Kind::reload);
        break;
    case Kind::grow:
        if (slots < core::workers_max) {
            (void)resize(slots + 1); // without memory it stays as it is
        }
        break;
    case Kind::shrink:
        if (slots > 1) {
            (void)resize(slots - 1);
        }
        break;
    case Kind::pass_on: {
        core::Input input = input_of(core::Input::Kind::pass_on);
        input.signal = request.number;
        step(input);
        break;
    }
    }
}

// The descriptor becomes readable when the next deadline comes, or at once while the host has
// events to pop, workers can be started, or the pool has ended between two runs and the next one
// returns its result.
void Pool::arm() {
    note_pending_forks(options_.host_fork && supervisor_.has_starts_under_way());
    const bool at_once = supervisor_.startable() > 0 || supervisor_.has_takeover() ||
                         (options_.on_event == nullptr && supervisor_.has_event()) ||
                         (!finished_ && (supervisor_.done() || has_failed()));
    loop_.set_deadline(at_once ? 0 : next_deadline());
}

void Pool::step(const core::Input &input) {
    supervisor_.step(input, os::now());
    send_signals();
}

void Pool::send_signals() {
    core::Signal signal{};
    while (supervisor_.pop_signal(&signal)) {
        if (signal.asks_to_stop) {
            channel_.ask_to_stop(signal.worker); // before any signal
        }
        for (uint32_t rest = signal.passed_on; rest != 0; rest &= rest - 1) {
            send(signal, std::countr_zero(rest));
        }
        if (signal.number != 0) {
            send(signal, signal.number);
        }
        if (signal.resumes) {
            loop_.resume(signal.worker);
        }
    }
}

void Pool::send(const core::Signal &signal, int32_t number) {
    const int result = loop_.send(signal.worker, number);
    if (result == 0 || result == -ESRCH) {
        return; // one that has ended is reported as such
    }
    core::Input input = input_of(core::Input::Kind::signal_failed, signal.worker);
    input.signal = number;
    input.error = result;
    input.reported = signal.reported;
    supervisor_.step(input, os::now());
}

void Pool::step(core::Input::Kind kind) { step(input_of(kind)); }

} // namespace prefork::runtime
