// The notifier by itself, in a time of the test's own and without a pool.
//
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <initializer_list>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "os/service/notify.h"

using prefork::base::millisecond;
using prefork::base::never;
using prefork::base::second;
using prefork::os::Notifier;
using prefork::os::PoolCounts;

namespace {

constexpr PoolCounts none{};
constexpr PoolCounts one{1, 1, 1, 0};
constexpr PoolCounts another{0, 1, 0, 1};
constexpr char status_of_one[] = "STATUS=Workers ready: 1 of 1, processes: 1, restarts: 0";
constexpr char status_of_another[] = "STATUS=Workers ready: 0 of 1, processes: 0, restarts: 1";

int listener = -1;
sockaddr_un listener_address;
socklen_t listener_address_size;

// How often the next messages fail, and with what.
int failures;
int failure;

// An abstract name that the kernel chooses.
int setup(void ** /*state*/) {
    listener_address = {};
    listener_address_size = sizeof(listener_address);
    listener_address.sun_family = AF_UNIX;
    listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(listener, reinterpret_cast<sockaddr *>(&listener_address), sizeof(sa_family_t)) < 0 ||
        getsockname(listener, reinterpret_cast<sockaddr *>(&listener_address),
                    &listener_address_size) < 0) {
        return -1;
    }
    char name[sizeof(listener_address.sun_path)];
    memcpy(name, listener_address.sun_path, sizeof(name));
    name[0] = '@';
    failures = 0;
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return setenv("NOTIFY_SOCKET", name, 1);
}

int teardown(void ** /*state*/) { return close(listener); }

const char *next_message() {
    static char text[256];
    const ssize_t length = recv(listener, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[length < 0 ? 0 : length] = '\0';
    return text;
}

void a_reload_has_its_time_and_ends_with_ready(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);

    notifier.reloading();
    notifier.update(none, 1'234'567'891);

    assert_string_equal(next_message(), "RELOADING=1\nMONOTONIC_USEC=1234567");
    notifier.update(none, 2 * second);
    assert_string_equal(next_message(), "");
    notifier.ready();
    notifier.update(none, 2 * second);
    assert_string_equal(next_message(), "READY=1");
    assert_string_equal(next_message(), "");
}

void who_reloads_is_not_ready(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);

    notifier.ready();
    notifier.reloading();
    notifier.update(none, 0);

    assert_string_equal(next_message(), "RELOADING=1\nMONOTONIC_USEC=0");
    assert_string_equal(next_message(), "");
}

void a_stop_is_reported_once(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);

    for (int time = 0; time < 3; time++) {
        notifier.stopping();
        notifier.update(none, 0);
    }

    assert_string_equal(next_message(), "STOPPING=1");
    assert_string_equal(next_message(), "");
}

void a_status_waits_for_its_second_and_others_do_not(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);
    assert_true(notifier.deadline() == never);

    notifier.update(one, 5 * second);
    assert_string_equal(next_message(), status_of_one);
    assert_true(notifier.deadline() == never);
    notifier.update(another, 5 * second + 1);
    assert_string_equal(next_message(), "");
    assert_true(notifier.deadline() == 6 * second);
    notifier.stopping();
    notifier.update(another, 5 * second + 2);
    assert_string_equal(next_message(), "STOPPING=1");
    assert_true(notifier.deadline() == 6 * second);
    notifier.update(another, 6 * second);
    assert_string_equal(next_message(), status_of_another);
    assert_true(notifier.deadline() == never);
}

void signs_of_life_come_by_the_clock(void ** /*state*/) {
    assert_int_equal(setenv("WATCHDOG_USEC", "3000000", 1), 0);
    Notifier notifier;
    assert_int_equal(notifier.open(1 * second), 0);
    assert_true(notifier.deadline() == 2'500 * millisecond);

    notifier.update(none, 2'499 * millisecond);
    assert_string_equal(next_message(), "");
    notifier.update(none, 2'500 * millisecond);
    assert_string_equal(next_message(), "WATCHDOG=1");
    // A process that was stopped for a while tells it once, and keeps to the interval from then on.
    notifier.update(none, 10 * second);
    assert_string_equal(next_message(), "WATCHDOG=1");
    assert_string_equal(next_message(), "");
    assert_true(notifier.deadline() == 11'500 * millisecond);
}

void assert_no_watchdog(const char *limit, const char *pid) {
    assert_int_equal(setenv("WATCHDOG_USEC", limit, 1), 0);
    if (pid != nullptr) {
        assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    }
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);

    notifier.update(none, 3'600 * second);

    assert_string_equal(next_message(), "");
    assert_true(notifier.deadline() == never);
}

void a_watchdog_of_no_time_is_none(void ** /*state*/) { assert_no_watchdog("0", nullptr); }

void a_time_that_is_no_number_is_none(void ** /*state*/) {
    for (const char *text : {"", " 1000000", "+1000000", "-1000000", "1000000 ", "1000000us", "1e6",
                             "0x100000", "max"}) {
        assert_no_watchdog(text, nullptr);
    }
}

void a_time_past_the_end_of_time_never_comes(void ** /*state*/) {
    for (const char *text : {"18446744073709551615", "18446744073709551616", "18446744073709552",
                             "36893488147419103233", "99999999999999999999999999999999999999"}) {
        assert_no_watchdog(text, nullptr);
    }
}

void a_long_time_is_kept(void ** /*state*/) {
    assert_int_equal(setenv("WATCHDOG_USEC", "18446744073709551", 1), 0);
    Notifier notifier;
    assert_int_equal(notifier.open(1 * second), 0);
    assert_true(notifier.deadline() == 1 * second + 18'446'744'073'709'551'000U / 2);
    assert_int_equal(setenv("WATCHDOG_USEC", "18446744073709551", 1), 0);
    Notifier late;
    assert_int_equal(late.open(never - second), 0);
    assert_true(late.deadline() == never);
}

void a_time_that_is_too_short_is_lengthened(void ** /*state*/) {
    for (const char *text : {"1", "2", "999", "19999"}) {
        assert_int_equal(setenv("WATCHDOG_USEC", text, 1), 0);
        Notifier notifier;
        assert_int_equal(notifier.open(second), 0);
        assert_true(notifier.deadline() == second + 10 * millisecond);
    }
}

void a_watchdog_of_no_process_is_none(void ** /*state*/) {
    char text[32];
    const auto pid = static_cast<unsigned long>(getpid());
    for (const char *format : {"%lux", " %lu", "-%lu", "%lu.0"}) {
        snprintf(text, sizeof(text), format, pid);
        assert_no_watchdog("20000", text);
    }
    // The same in 32 bits.
    snprintf(text, sizeof(text), "%llu", pid + (1ULL << 32));
    assert_no_watchdog("20000", text);
    assert_no_watchdog("20000", "");
}

// The caller drives the clock to each deadline.
void assert_arrives_after(int error, int times, prefork::base::Instant moment) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);
    failure = error;
    failures = times;
    prefork::base::Instant now = 0;

    notifier.ready();
    notifier.stopping();
    notifier.update(none, now);
    while (notifier.deadline() != never) {
        assert_string_equal(next_message(), "");
        assert_true(notifier.deadline() > now);
        now = notifier.deadline();
        notifier.update(none, now);
    }

    assert_true(now == moment);
    assert_string_equal(next_message(), "READY=1");
    assert_string_equal(next_message(), "STOPPING=1");
}

void an_error_of_the_moment_is_none_for_good(void ** /*state*/) {
    for (const int error : {EAGAIN, ENOBUFS, ENOMEM, EINTR}) {
        assert_arrives_after(error, 1, 10 * millisecond);
        assert_arrives_after(error, 3, 70 * millisecond);
        assert_arrives_after(error, 9, 3'270 * millisecond); // 10 ms, doubled up to a second
    }
}

void who_stops_is_reported_so_at_the_last_moment(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);
    failure = ENOBUFS;
    failures = 3;

    notifier.stopping();
    notifier.update(none, 0);
    assert_string_equal(next_message(), "");
    notifier.close();

    assert_string_equal(next_message(), "STOPPING=1");
}

void the_end_does_not_wait_for_ever(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);
    failure = ENOBUFS;
    failures = 1'000'000;

    notifier.stopping();
    notifier.update(none, 0);
    notifier.close();

    assert_true(notifier.deadline() == never);
    assert_string_equal(next_message(), "");
}

void a_manager_that_listens_anew_is_found(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);
    for (int time = 0; time < 2; time++) {
        close(listener);
        listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(
            bind(listener, reinterpret_cast<sockaddr *>(&listener_address), listener_address_size),
            0);

        notifier.ready();
        notifier.update(none, 0);

        assert_string_equal(next_message(), "READY=1");
    }
}

void what_finds_no_room_is_tried_again(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);
    int sent = 0;
    do {
        notifier.ready();
        notifier.update(none, 0);
        sent++;
    } while (notifier.deadline() == never && sent < 100'000);
    assert_true(notifier.deadline() == 10 * millisecond);

    notifier.update(one, 5 * millisecond); // told in the meantime, without success
    assert_true(notifier.deadline() == 25 * millisecond);
    while (next_message()[0] != '\0') {
    }
    notifier.update(one, 25 * millisecond);

    assert_string_equal(next_message(), "READY=1");
    assert_string_equal(next_message(), status_of_one);
    assert_true(notifier.deadline() == never);
}

void what_nobody_listens_for_is_not_tried_again(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(setenv("NOTIFY_SOCKET", "/none/notify", 1), 0);
    assert_int_equal(notifier.open(0), 0);

    notifier.ready();
    notifier.update(one, 0);

    assert_true(notifier.deadline() == never);
}

void assert_speaks_to_nobody(const char *name) {
    Notifier notifier;
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "1000", 1), 0);

    assert_int_equal(notifier.open(0), 0);
    notifier.ready();
    notifier.update(one, second);

    assert_true(notifier.deadline() == never);
    assert_string_equal(next_message(), "");
}

void names_that_are_none_are_passed_over(void ** /*state*/) {
    char name[200];
    memset(name, 'n', sizeof(name));
    name[0] = '/';
    name[108] = '\0'; // one more than there is room for, with the zero

    assert_speaks_to_nobody("");
    assert_speaks_to_nobody("/");
    assert_speaks_to_nobody("relative");
    assert_speaks_to_nobody("vsock:2:1234");
    assert_speaks_to_nobody(name);
}

} // namespace

// The library calls it instead of libc's.
ssize_t send(int fd, const void *data, size_t size, int flags) {
    if (failures > 0) {
        failures--;
        errno = failure;
        return -1;
    }
    return sendto(fd, data, size, flags, nullptr, 0);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reload_has_its_time_and_ends_with_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(who_reloads_is_not_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_is_reported_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_status_waits_for_its_second_and_others_do_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(signs_of_life_come_by_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watchdog_of_no_time_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_time_that_is_no_number_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_time_past_the_end_of_time_never_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_time_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_time_that_is_too_short_is_lengthened, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watchdog_of_no_process_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_of_the_moment_is_none_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(who_stops_is_reported_so_at_the_last_moment, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_end_does_not_wait_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(a_manager_that_listens_anew_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(what_finds_no_room_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_nobody_listens_for_is_not_tried_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(names_that_are_none_are_passed_over, setup, teardown),
    };
    return cmocka_run_group_tests_name("notifier", tests, nullptr, nullptr);
}
