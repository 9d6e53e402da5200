// SPDX-License-Identifier: MIT
#include "os/watch/event_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "os/process/clock.h"
#include "os/signals/wakeups.h"
#include "os/watch/child_signal.h"
#include "os/watch/epoll.h"
#include "os/watch/exit_status.h"
#include "os/watch/other_children.h"
#include "os/watch/worker_registry.h"

namespace prefork::os {

namespace {

// What epoll reports for a descriptor: a worker's number or one of these.
constexpr uint32_t tag_timer = UINT32_MAX;
constexpr uint32_t tag_wake = UINT32_MAX - 1;
constexpr uint32_t tag_messages = UINT32_MAX - 2;
constexpr uint32_t tag_supervisor = UINT32_MAX - 3; // for no event: to know it from the host's

// With the SIGCHLD backend, how soon a handler that the host has replaced is noticed.
constexpr base::Duration handler_check_interval = 1 * base::second;

// How long a killed worker has to end after another one, and how long if SIGKILL could not be sent
// to each.
constexpr base::Duration end_timeout = 5 * base::second;
constexpr base::Duration unreached_end_timeout = 1 * base::second;

} // namespace

EventLoop::~EventLoop() {
    children_.let_go();
    retire();
}

void EventLoop::retire() {
    if (registered_) {
        registered_ = false;
        unregister_workers(&children_);
    }
    if (!wakes_) {
        return;
    }
    stop_waking();
    if (is_registered(wake_.descriptor(), tag_wake)) {
        wake_.clear();
    }
}

void EventLoop::stop_waking() {
    wakes_ = false;
    remove_wakeup(wake_.target());
    if (keeps_statuses_) {
        keeps_statuses_ = false;
        release_child_handler(true);
    }
}

bool EventLoop::supports(Backend backend) {
    if (backend != Backend::pidfd) {
        return true;
    }
    Pidfd self;
    const int result = self.open(getpid());
    return result == 0 || result == -EMFILE || result == -ENFILE;
}

// A filter of system calls would let workers be started, and nobody could wait for them.
int EventLoop::check_wait() const {
    epoll_event event;
    return epoll_pwait(epoll_.get(), &event, 1, 0, nullptr) < 0 ? -errno : 0;
}

int EventLoop::open(Backend backend, GroupMode groups, int messages) {
    backend_ = backend;
    if (backend == Backend::automatic) {
        backend_ = supports(Backend::pidfd) ? Backend::pidfd : Backend::sigchld;
    }
    if (int r = epoll_.adopt(epoll_create1(EPOLL_CLOEXEC)); r < 0) {
        return r;
    }
    if (int r = timer_.open(); r < 0) {
        return r;
    }
    if (int r = wake_.open(); r < 0) {
        return r;
    }
    if (by_pidfd()) {
        if (int r = supervisor_.open(getpid()); r < 0) {
            return r;
        }
        if (int r = register_descriptor(supervisor_.get(), tag_supervisor); r < 0) {
            return r;
        }
        knows_all_statuses_ = can_ask_for_exit(supervisor_.get());
        if (int r = open_spare(); r < 0) {
            return r;
        }
    }
    if (int r = check_waits(supervisor_.get()); r < 0) {
        return r;
    }
    if (timer_.refusal() == 0) {
        if (int r = register_descriptor(timer_.descriptor(), tag_timer); r < 0) {
            return r;
        }
    }
    if (int r = register_descriptor(wake_.descriptor(), tag_wake); r < 0) {
        return r;
    }
    if (!messages_.borrow(messages)) {
        return -errno;
    }
    if (int r = register_descriptor(messages, tag_messages); r < 0) {
        return r;
    }
    if (int r = check_wait(); r < 0) {
        return r;
    }
    if (int r = add_wakeup(wake_.target()); r < 0) {
        return r;
    }
    wakes_ = true;
    registered_ = true;
    register_workers(&children_);
    if (!by_pidfd()) {
        keep_statuses();
        if (int r = liveness_.open(false); r < 0) {
            return r;
        }
        if (!liveness_file_.capture(liveness_.read_end())) {
            return -errno;
        }
    }
    children_.open(by_pidfd(), groups, epoll_.get());
    return 0;
}

int EventLoop::register_descriptor(int descriptor, uint32_t tag) {
    epoll_event event{};
    event.events = tag == tag_supervisor ? 0U : uint32_t{EPOLLIN};
    event.data.u32 = tag;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
}

int EventLoop::add_messages(int descriptor) {
    return more_messages_.borrow(descriptor) ? register_descriptor(descriptor, tag_messages)
                                             : -errno;
}

void EventLoop::watch_messages(bool on) {
    waits_for_messages_ = on;
    (void)is_our_epoll(epoll_.get()); // it is registered to the end
    if (more_messages_.get() >= 0) {
        (void)set_registered(epoll_.get(), more_messages_.get(), on ? uint32_t{EPOLLIN} : 0U,
                             tag_messages);
    }
}

int EventLoop::room(size_t wanted, uint32_t descriptors_each, std::span<int> scratch) {
    if (!by_pidfd()) {
        return static_cast<int>(wanted);
    }
    if (spare_.get() < 0) {
        if (int r = open_spare(); r < 0) {
            return r;
        }
    }
    if (wanted == 1) {
        return 1;
    }
    const size_t descriptors = wanted * descriptors_each;
    const int available = descriptors_available(epoll_.get(), scratch.first(descriptors));
    const int workers = available / static_cast<int>(descriptors_each);
    return workers > 0 ? workers : 1;
}

int EventLoop::open_spare() { return spare_.adopt(fcntl(epoll_.get(), F_DUPFD_CLOEXEC, 0)); }

int EventLoop::add(uint32_t worker, int32_t pid, Pidfd *pidfd) {
    newest_ = worker;
    const int result = children_.add(worker, pid, pidfd);
    const bool is_full = result == -EMFILE || result == -ENFILE;
    return is_full && give_up_spare() ? children_.add(worker, pid, pidfd) : result;
}

bool EventLoop::give_up_spare() {
    const bool had_one = spare_.get() >= 0;
    spare_.reset();
    return had_one;
}

void EventLoop::abandon(EndFunction report, void *user) {
    bool all_reached = true;
    for (uint32_t index = 0; children_.count() > 0 && index < children_.size(); index++) {
        const uint32_t worker = children_.id_at(index);
        if (children_.has(worker)) {
            const int result = children_.send(worker, SIGKILL);
            all_reached = all_reached && (result == 0 || result == -ESRCH);
        }
    }
    EndWait wait(all_reached ? end_timeout : unreached_end_timeout);
    for (uint32_t index = 0; children_.count() > 0 && index < children_.size(); index++) {
        const uint32_t worker = children_.id_at(index);
        base::Exit exit;
        bool collected = false;
        while (children_.has(worker) && !collected) {
            collected = children_.collect(worker, &exit);
            if (collected) {
                wait.begin_anew();
                if (report != nullptr) {
                    report(user, worker, exit);
                }
            } else if (!wait.wait(children_.handle(worker))) {
                break;
            }
        }
    }
}

bool EventLoop::is_registered(int descriptor, uint32_t tag) const {
    return set_registered(epoll_.get(), descriptor, EPOLLIN, tag);
}

// While the pipe is the pool's, no other epoll has it.
bool EventLoop::is_our_epoll(int epoll) const {
    return set_registered(epoll, messages_.get(), waits_for_messages_ ? uint32_t{EPOLLIN} : 0U,
                          tag_messages);
}

// Adding what is there already changes nothing.
bool EventLoop::knows_newest() const {
    const int newest = children_.has(newest_) ? children_.handle(newest_).pidfd : -1;
    epoll_event event{};
    if (newest < 0 || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, newest, &event) < 0) {
        return newest >= 0 && errno == EEXIST;
    }
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, newest, nullptr);
    return false;
}

bool EventLoop::is_whole() const { return timer_error_ != -EBADF && is_our_epoll(epoll_.get()); }

void EventLoop::let_go_of_lost(bool has_messages) {
    const bool has_epoll = has_messages && is_our_epoll(epoll_.get());
    children_.let_go_of_lost(has_epoll);
    if (!has_epoll || !is_registered(timer_.descriptor(), tag_timer)) {
        timer_.lose();
    }
    if (!has_epoll || !is_registered(wake_.descriptor(), tag_wake) || !wake_.has_target()) {
        lose_wake();
    }
    if (!has_messages || !is_our_epoll(spare_.get())) {
        spare_.lose();
    }
    if (!has_epoll || !set_registered(epoll_.get(), supervisor_.get(), 0, tag_supervisor)) {
        supervisor_.lose();
    }
    liveness_.let_go_of_lost(liveness_file_);
    if (!has_epoll) {
        epoll_.lose();
    }
}

void EventLoop::lose_wake() {
    if (wakes_) {
        stop_waking();
    }
    wake_.let_go_of_lost();
}

void EventLoop::disown() {
    children_.disown();
    epoll_.disown();
    timer_.disown();
    wake_.disown();
    supervisor_.disown();
    spare_.disown();
    liveness_.disown();
    wakes_ = false;
    registered_ = false;
    keeps_statuses_ = false;
}

void EventLoop::set_deadline(base::Instant deadline) {
    if (!by_pidfd() && children_.count() > 0) {
        if (next_check_ == base::never) {
            next_check_ = base::after(now(), handler_check_interval);
        }
        deadline = next_check_ < deadline ? next_check_ : deadline;
    }
    deadline = children_.next_look() < deadline ? children_.next_look() : deadline;
    if (deadline == timer_.deadline() || !messages_.is_still_open()) {
        return; // in the second case the timer's number may be that of another file
    }
    if (int r = timer_.set(deadline); r < 0) {
        timer_error_ = r;
        wake(); // the loop of the host must not wait for ever either
    }
}

int EventLoop::wait(int timeout_ms, SignalBlock &block, WaitResult *ret_result) {
    *ret_result = WaitResult{};
    if (timer_error_ != 0) {
        return timer_error_; // it might wait for ever
    }
    forget_abandoned_visit();
    epoll_event events[WaitResult::ended_max];
    const bool is_blocking = block.is_blocking();
    const int count =
        epoll_pwait(epoll_.get(), events, static_cast<int>(WaitResult::ended_max),
                    timer_.limited(timeout_ms), is_blocking ? &block.host_mask() : nullptr);
    if (count < 0) {
        ret_result->interrupted = errno == EINTR;
        return errno == EINTR ? 0 : -errno;
    }
    // With events at hand epoll_pwait returns without handling signals that are blocked otherwise.
    // They come first: Ctrl-C reaches the supervisor and its workers together. The kernel sends a
    // signal to a whole group before any member of it can be seen to have ended.
    ret_result->interrupted = is_blocking && block.deliver_pending();
    bool look = false;
    for (int index = 0; index < count; index++) {
        const uint32_t tag = events[index].data.u32;
        if (tag == tag_timer) {
            ret_result->timer = true;
        } else if (tag == tag_wake) {
            wake_.clear();
            look = true;
        } else if (tag == tag_messages) {
            ret_result->messages = true;
        } else {
            ret_result->ended[ret_result->ended_count++] = tag;
        }
    }
    if (ret_result->timer || timer_.has_come()) {
        timer_.clear(); // the next deadline arms it again
        ret_result->timer = true;
        look = true;
    }
    if (look && !by_pidfd()) {
        next_check_ = base::never;
        check_child_handler();
        look_for_ended(ret_result);
    }
    if (children_.next_look() != base::never) {
        const std::span<uint32_t> room(ret_result->ended);
        ret_result->ended_count += children_.list_due(now(), room.subspan(ret_result->ended_count));
    }
    return 0;
}

// Without pidfds nothing reports which worker it was.
void EventLoop::look_for_ended(WaitResult *ret_result) {
    const uint32_t size = children_.size();
    for (uint32_t looked = 0; looked < size; looked++) {
        const uint32_t index = (next_look_ + looked) % size;
        const uint32_t worker = children_.id_at(index);
        bool certain = true;
        if (!children_.has(worker) || !children_.may_have_ended(worker, &certain)) {
            continue;
        }
        ret_result->ended[ret_result->ended_count++] = worker;
        if (ret_result->ended_count == WaitResult::ended_max) {
            next_look_ = (index + 1) % size;
            if (certain) {
                wake(); // there may be more; others that may have ended are looked at in time
            }
            return;
        }
    }
}

void EventLoop::keep_statuses() {
    if (knows_all_statuses_ || !wakes_) {
        return;
    }
    if (keeps_statuses_) {
        check_child_handler();
    } else {
        keeps_statuses_ = true;
        hold_child_handler(true);
    }
}

void EventLoop::reap_for_host() const {
    if (keeps_statuses_ && keeps_for_host()) {
        reap_other_children();
    }
}

void EventLoop::wake() const { os::wake(wake_.target()); }

} // namespace prefork::os
