// The notifier by itself, in a time of the test's own and without a pool.
//
// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "os/notify.h"

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

// An abstract name that the kernel chooses.
int setup(void ** /*state*/) {
    sockaddr_un address{};
    socklen_t size = sizeof(address);
    address.sun_family = AF_UNIX;
    listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof(sa_family_t)) < 0 ||
        getsockname(listener, reinterpret_cast<sockaddr *>(&address), &size) < 0) {
        return -1;
    }
    address.sun_path[0] = '@';
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return setenv("NOTIFY_SOCKET", address.sun_path, 1);
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

void a_stop_is_told_once(void ** /*state*/) {
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

void a_watchdog_of_no_time_is_none(void ** /*state*/) {
    assert_int_equal(setenv("WATCHDOG_USEC", "0", 1), 0);
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);

    notifier.update(none, second);

    assert_string_equal(next_message(), "");
    assert_true(notifier.deadline() == never);
}

void what_finds_no_room_is_tried_again_after_a_second(void ** /*state*/) {
    Notifier notifier;
    assert_int_equal(notifier.open(0), 0);
    int sent = 0;
    do {
        notifier.ready();
        notifier.update(none, 0);
        sent++;
    } while (notifier.deadline() == never && sent < 100'000);
    assert_true(notifier.deadline() == second);

    notifier.update(one, 500 * millisecond); // told in the meantime, without success
    assert_true(notifier.deadline() == 1'500 * millisecond);
    while (next_message()[0] != '\0') {
    }
    notifier.update(one, 1'500 * millisecond);

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

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reload_has_its_time_and_ends_with_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(who_reloads_is_not_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_status_waits_for_its_second_and_others_do_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(signs_of_life_come_by_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watchdog_of_no_time_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(what_finds_no_room_is_tried_again_after_a_second, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_nobody_listens_for_is_not_tried_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(names_that_are_none_are_passed_over, setup, teardown),
    };
    return cmocka_run_group_tests_name("notifier", tests, nullptr, nullptr);
}
