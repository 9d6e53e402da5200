// The takeover of a slot by a spare: both ends of the channel, and what the worker does with its
// own.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/worker_array.h"
#include "os/channel/supervisor_channel.h"
#include "os/process/generation.h"

using namespace prefork;
using base::first_spare;
using base::second;
using os::Message;
using os::SupervisorChannel;
using os::WorkerLink;

namespace {

constexpr uint32_t workers = 8;
constexpr base::Instant start = 1000 * second;

// A pool with one spare, which is this process.
struct Pool {
    SupervisorChannel channel;
    WorkerLink link;

    explicit Pool(bool has_stop_descriptors = true) {
        os::begin_generation(); // a new worker, as far as its end is concerned
        assert_int_equal(channel.open({has_stop_descriptors, true, 0}), 0);
        assert_true(channel.grow(workers, 1));
        link = channel.link_of_all();
        link.supervisor = getppid();
        link.is_spare = true;
        assert_int_equal(channel.begin_start(first_spare, start, &link), 0);
        link.down = fcntl(link.down, F_DUPFD_CLOEXEC, 0);
        channel.end_start(first_spare, true);
        channel.begin_read(start);
    }

    ~Pool() {
        if (link.down >= 0) {
            close(link.down);
        }
    }

    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    void expect_ready_of(uint32_t worker) {
        Message message{};
        assert_true(channel.next(&message));
        assert_int_equal(message.worker, worker);
        assert_int_equal(message.kind, Message::Kind::ready);
    }

    void expect_nothing() {
        Message message{};
        assert_false(channel.next(&message));
    }
};

bool is_readable(int descriptor) {
    pollfd one{descriptor, POLLIN, 0};
    return poll(&one, 1, 0) == 1;
}

void spare_learns_its_slot_and_reports_as_its_worker(void **) {
    Pool pool;
    assert_int_equal(pool.channel.take_over(first_spare, 2 * 1, start), 0);

    assert_int_equal(os::await_takeover(&pool.link, nullptr), 1);

    assert_int_equal(pool.link.instance.worker, 2);
    assert_false(pool.link.is_spare);
    assert_int_equal(os::send_ready(pool.link), 0);
    assert_int_equal(os::send_ready(pool.link), 0); // which is sent once
    pool.expect_ready_of(2);
    pool.expect_nothing();
}

void what_it_sent_as_a_spare_is_not_the_workers(void **) {
    Pool pool;
    const WorkerLink as_spare = pool.link;
    assert_int_equal(pool.channel.take_over(first_spare, 0, start), 0);
    assert_int_equal(os::await_takeover(&pool.link, nullptr), 0);

    assert_int_equal(os::send_ready(as_spare), 0);

    pool.expect_nothing();
}

void stop_descriptor_of_a_spare_means_a_stop_only_with_a_slot(void **) {
    Pool pool;
    const int stop = os::stop_descriptor(pool.link);
    assert_true(stop >= 0);
    assert_int_equal(os::stop_descriptor(pool.link), stop);
    assert_int_equal(pool.channel.take_over(first_spare, 0, start), 0);
    assert_false(is_readable(stop));
    assert_int_equal(os::await_takeover(&pool.link, nullptr), 0);
    assert_false(is_readable(stop));
    assert_int_equal(os::stop_descriptor(pool.link), stop);

    pool.channel.ask_to_stop(0);

    assert_true(is_readable(stop));
    assert_int_equal(close(stop), 0);
}

void pipe_without_a_stop_descriptor_ends_with_the_takeover(void **) {
    Pool pool(false);
    assert_false(pool.link.keeps_down);
    assert_int_equal(os::stop_descriptor(pool.link), -EOPNOTSUPP);
    const int down = pool.link.down;
    assert_int_equal(pool.channel.take_over(first_spare, 2 * 3, start), 0);

    assert_int_equal(os::await_takeover(&pool.link, nullptr), 3);

    assert_int_equal(pool.link.down, -1);
    assert_int_equal(fcntl(down, F_GETFD), -1);
    assert_int_equal(os::stop_descriptor(pool.link), -EOPNOTSUPP);
    assert_int_equal(os::send_ready(pool.link), 0);
    pool.expect_ready_of(6);
}

void wait_ends_where_the_spare_is_not_needed(void **) {
    Pool pool;
    pool.channel.ask_to_stop(first_spare);

    assert_true(os::await_takeover(&pool.link, nullptr) < 0);
}

void wait_ends_with_the_supervisor(void **) {
    Pool pool;
    pool.link.supervisor = INT32_MAX; // not the parent, and no process

    assert_true(os::await_takeover(&pool.link, nullptr) < 0);
}

void wait_ends_where_its_pipe_is_lost(void **) {
    Pool pool;
    assert_int_equal(close(pool.link.down), 0);
    pool.link.down = open("/dev/null", O_WRONLY | O_CLOEXEC);

    assert_true(os::await_takeover(&pool.link, nullptr) < 0);
    assert_int_equal(os::stop_descriptor(pool.link), -EBADF);
}

void wait_has_the_mask_of_workers_and_gives_back_its_own(void **) {
    Pool pool;
    sigset_t mask;
    sigset_t after;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    assert_int_equal(pool.channel.take_over(first_spare, 0, start), 0);

    assert_int_equal(os::await_takeover(&pool.link, &mask), 0);

    assert_int_equal(pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
    assert_int_equal(sigismember(&after, SIGUSR2), 0);
}

// The slot then waits for another one.
void takeover_by_a_spare_that_has_ended_fails(void **) {
    Pool pool;
    assert_int_equal(close(pool.link.down), 0);
    pool.link.down = -1;

    assert_true(pool.channel.take_over(first_spare, 0, start) < 0);

    WorkerLink other = pool.channel.link_of_all();
    assert_int_equal(pool.channel.begin_start(0, start, &other), 0);
    pool.channel.end_start(0, true);
}

void spare_of_the_hosts_fork_is_admitted_and_waits(void **) {
    Pool pool;
    pool.channel.ended(first_spare);
    assert_int_equal(pool.channel.admission_end(base::task_spare), -1);
    assert_int_equal(pool.channel.admit(base::task_spare, first_spare, getpid(), start), -ESRCH);
    assert_int_equal(pool.channel.expect_fork(base::task_spare), 0);
    assert_int_equal(pool.channel.expect_fork(base::task_spare), 0);
    WorkerLink link = pool.channel.link_of_all();
    link.supervisor = getppid();
    link.down = fcntl(pool.channel.admission_end(base::task_spare), F_DUPFD_CLOEXEC, 0);
    assert_int_equal(pool.channel.admit(base::task_spare, first_spare, getpid(), start), 0);

    assert_true(os::await_admission(&link, -1));
    assert_true(link.is_spare);
    assert_int_equal(pool.channel.take_over(first_spare, 4, start), 0);
    assert_int_equal(os::await_takeover(&link, nullptr), 2);

    assert_int_equal(close(link.down), 0);
}

// ---- What a worker sends ------------------------------------------------------------------------

void nothing_is_written_to_another_file(void **) {
    Pool pool;
    const int other = open("/dev/null", O_WRONLY | O_CLOEXEC);
    WorkerLink link = pool.link;
    link.up = other;

    assert_int_equal(os::send_ready(link), -EBADF);
    assert_int_equal(os::send_retire(link), -EBADF);
    link.heartbeat_interval = second;
    assert_int_equal(os::send_heartbeat(link), -EBADF);
    assert_int_equal(os::send_heartbeat(link), -EBADF); // tried again at once

    assert_int_equal(close(other), 0);
}

void nothing_is_sent_to_a_supervisor_that_is_gone(void **) {
    Pool pool;
    WorkerLink link = pool.link;
    link.supervisor = INT32_MAX;

    assert_int_equal(os::send_ready(link), -ESRCH);
    assert_int_equal(os::send_retire(link), -ESRCH);
    const int stop = os::stop_descriptor(link);

    assert_true(is_readable(stop));
    assert_int_equal(close(stop), 0);
}

void message_without_room_fails_after_a_second(void **) {
    Pool pool;
    const char bytes[4096] = "";
    while (write(pool.link.up, bytes, sizeof(bytes)) > 0) {
    }

    assert_int_equal(os::send_retire(pool.link), -EAGAIN);
}

void retirement_and_exit_code_are_sent_once(void **) {
    Pool pool;
    Message message{};
    assert_int_equal(pool.channel.take_over(first_spare, 0, start), 0);
    assert_int_equal(os::await_takeover(&pool.link, nullptr), 0);

    assert_int_equal(os::send_retire(pool.link), 0);
    assert_int_equal(os::send_retire(pool.link), 0);
    os::announce_exit(pool.link, 7); // nobody wants it
    pool.link.announces_exit = true;
    os::announce_exit(pool.link, 9);

    assert_true(pool.channel.next(&message));
    assert_int_equal(message.kind, Message::Kind::retire);
    pool.expect_nothing();
    assert_int_equal(pool.channel.announced_exit(0), 9);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(spare_learns_its_slot_and_reports_as_its_worker),
        cmocka_unit_test(what_it_sent_as_a_spare_is_not_the_workers),
        cmocka_unit_test(stop_descriptor_of_a_spare_means_a_stop_only_with_a_slot),
        cmocka_unit_test(pipe_without_a_stop_descriptor_ends_with_the_takeover),
        cmocka_unit_test(wait_ends_where_the_spare_is_not_needed),
        cmocka_unit_test(wait_ends_with_the_supervisor),
        cmocka_unit_test(wait_ends_where_its_pipe_is_lost),
        cmocka_unit_test(wait_has_the_mask_of_workers_and_gives_back_its_own),
        cmocka_unit_test(takeover_by_a_spare_that_has_ended_fails),
        cmocka_unit_test(spare_of_the_hosts_fork_is_admitted_and_waits),
        cmocka_unit_test(nothing_is_written_to_another_file),
        cmocka_unit_test(nothing_is_sent_to_a_supervisor_that_is_gone),
        cmocka_unit_test(message_without_room_fails_after_a_second),
        cmocka_unit_test(retirement_and_exit_code_are_sent_once),
    };
    return cmocka_run_group_tests_name("takeover", tests, nullptr, nullptr);
}
