// What a worker by exec is told of its descriptors, as its supervisor writes it and as nobody
// should.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include "cmocka_all.h"

#include "os/net/activation.h"
#include "os/net/bound_sockets.h"
#include "os/spawn/adopt_fds.h"
#include "os/spawn/worker_resources.h"

namespace os = prefork::os;

namespace {

constexpr int first = os::first_passed_descriptor;
constexpr int count = 6; // that are open, from the first on

int flags_of(int descriptor) { return fcntl(descriptor, F_GETFD); }

// Some C libraries lack closefrom().
void close_from(int descriptor) {
    for (; descriptor < first + 64; descriptor++) {
        close(descriptor);
    }
}

int set_up(void ** /*state*/) {
    for (int descriptor = first; descriptor < first + count; descriptor++) {
        if (dup2(STDERR_FILENO, descriptor) < 0) {
            return -1;
        }
    }
    close_from(first + count);
    os::set_passed_descriptors(0);
    return 0;
}

int tear_down(void ** /*state*/) {
    close_from(first);
    return 0;
}

int adopt(const char *text, os::WorkerResources *resources) {
    return os::adopt_inherited_fds(text, resources);
}

void assert_refused(const char *text, int error) {
    os::WorkerResources resources;
    int fds[os::bound_sockets_max];

    const int result = adopt(text, &resources);

    if (result != error) {
        print_error("\"%s\": %d instead of %d\n", text, result, error);
    }
    assert_int_equal(result, error);
    for (int descriptor = first; descriptor < first + count; descriptor++) {
        assert_int_equal(flags_of(descriptor), 0);
    }
    assert_int_equal(os::passed_descriptor_count(), 0);
    assert_int_equal(os::find_handed_on({"a", 80, 2, 0}, fds), 0);
}

void what_a_supervisor_writes_is_taken(void ** /*state*/) {
    os::WorkerResources resources;
    int fds[os::bound_sockets_max];

    assert_int_equal(adopt("3:1:2:80:2:0:3:a:b:1:0:1:0:4:path:0:one:two", &resources), 0);

    assert_int_equal(os::passed_descriptor_count(), 1);
    assert_int_equal(os::find_handed_on({"a:b", 80, 2, 0}, fds), 2);
    assert_int_equal(fds[0], first + 1);
    assert_int_equal(fds[1], first + 2);
    assert_int_equal(os::find_handed_on({"path", 0, 1, 0}, fds), 1);
    assert_int_equal(fds[0], first + 3);
    assert_int_equal(resources.find("one"), first + 4);
    assert_int_equal(resources.find("two"), first + 5);
    for (int descriptor = first; descriptor < first + count; descriptor++) {
        assert_int_equal(flags_of(descriptor), FD_CLOEXEC);
    }
}

void none_at_all_is_right_too(void ** /*state*/) {
    os::WorkerResources resources;

    assert_int_equal(adopt("3:0:0", &resources), 0);

    assert_int_equal(resources.count(), 0);
    assert_int_equal(flags_of(first), 0);
}

void those_from_0_on_can_have_names(void ** /*state*/) {
    os::WorkerResources resources;

    assert_int_equal(adopt("2:0:0:err", &resources), 0);

    assert_int_equal(resources.find("err"), STDERR_FILENO);
    assert_int_equal(flags_of(STDERR_FILENO), FD_CLOEXEC);
    assert_int_equal(fcntl(STDERR_FILENO, F_SETFD, 0), 0);
}

void an_error_of_the_supervisor_is_its_workers_too(void ** /*state*/) {
    os::WorkerResources resources;

    assert_int_equal(adopt("3:-9:0:name", &resources), 0);

    assert_int_equal(os::passed_descriptor_count(), -EBADF);
    assert_int_equal(resources.find("name"), first);
}

void what_nobody_writes_is_refused(void ** /*state*/) {
    constexpr const char *texts[] = {
        "",
        "3",
        "3:",
        "3:0",
        "3:0:",
        "3:1:",
        "3::0",
        ":3:0:0",
        " 3:0:0",
        "3 :0:0",
        "+3:0:0",
        "-3:0:0",
        "0:1:0",
        "2:1:0",
        "4:1:0",
        "2147483647:1:0",
        "2147483646:2:0",
        "2147483648:0:0",
        "4294967299:0:0",
        "18446744073709551619:0:0",
        "3:2147483648:0",
        "3:-4096:0",
        "3:-2147483648:0",
        "3:-2147483649:0",
        "3:--1:0",
        "3:0x1:0",
        "3:1:-1",
        "3:1:65:80:2:0:1:a:0",
        "3:0:2147483647:80:2:0:1:a:0",
        "3:0:2147483648:80:2:0:1:a:0",
        "3:0:1:65536:2:0:1:a:0",
        "3:0:1:-1:2:0:1:a:0",
        "3:0:1::2:0:1:a:0",
        "3:0:1:80:-1:0:1:a:0",
        "3:0:1:80:2147483648:0:1:a:0",
        "3:0:1:80:2:-1:1:a:0",
        "3:0:1:80:2:4294967295:1:a:0",
        "3:0:1:80:2:0:-1:a:0",
        "3:0:1:80:2:0:2:a:0",
        "3:0:1:80:2:0:100:a:0",
        "3:0:1:80:2:0:1025:a:0",
        "3:0:1:80:2:0:2147483647:a:0",
        "3:0:1:80:2:0:1",
        "3:0:1:80:2:0:1:",
        "3:0:1:80:2:0:1:a",
        "3:0:1:80:2:0:1:a:",
        "3:0:1:80:2:0:1:ab:0",
        "3:0:0:",
        "3:0:0::",
        "3:0:0name",
        "3:0:0:name:",
        "3:0:0::name",
        "3:0:0:bad\nname",
        "3:1:1:80:2:0:1:a:0:name:",
    };
    for (const char *text : texts) {
        assert_refused(text, -EINVAL);
    }
}

void names_are_reported_once(void ** /*state*/) { assert_refused("3:0:0:name:name", -EEXIST); }

void too_long_names_are_refused(void ** /*state*/) {
    const std::string text = "3:0:0:" + std::string(256, 'n');

    assert_refused(text.c_str(), -EINVAL);
}

void what_is_not_open_is_refused(void ** /*state*/) {
    for (const char *text : {
             "3:7:0",
             "2147483647:0:1:80:2:0:1:a:0",
             "2147483647:0:0:name",
             "9:0:0:name",
             "3:2147483647:0",
             "3:2147483640:9:80:2:0:1:a:0",
             "3:0:7:80:2:0:1:a:0",
             "3:6:1:80:2:0:1:a:0",
             "3:3:4:80:2:0:1:a:0",
             "3:6:0:name",
             "3:5:0:one:two",
             "3:1:1:80:2:0:1:a:1:80:2:0:1:b:0:n1:n2:n3:n4",
         }) {
        assert_refused(text, -EBADF);
    }
}

/* Each text that is a part of a right one, or has another character, is taken whole or not. */
void any_change_of_a_text_is_taken_or_refused(void ** /*state*/) {
    const std::string right = "3:1:2:80:2:0:3:a:b:1:0:1:0:4:path:0:one:two";
    for (size_t place = 0; place < right.size(); place++) {
        for (const char character : {'\0', ':', '-', '0', '9', 'x', ' ', '\xff'}) {
            std::string text = right;
            text[place] = character;
            set_up(nullptr);
            os::WorkerResources resources;

            const int result = adopt(text.c_str(), &resources);

            int fds[os::bound_sockets_max];
            while (os::find_handed_on({"a:b", 80, 2, 0}, fds) > 0 ||
                   os::find_handed_on({"path", 0, 1, 0}, fds) > 0) {
                assert_int_equal(result, 0);
            }
            for (int descriptor = first; descriptor < first + count; descriptor++) {
                assert_true(result == 0 || flags_of(descriptor) == 0);
            }
        }
    }
}

/* ---- The variables of systemd ------------------------------------------------------------ */

int passed_with(const char *listen_pid, const char *listen_fds) {
    setenv("LISTEN_PID", listen_pid, 1);
    setenv("LISTEN_FDS", listen_fds, 1);
    os::set_passed_descriptors(0);
    os::note_passed_descriptors();
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    return os::passed_descriptor_count();
}

void what_systemd_passed_is_counted_with_care(void ** /*state*/) {
    const std::string own = std::to_string(getpid());

    assert_int_equal(passed_with(own.c_str(), "6"), 6);
    assert_int_equal(passed_with(own.c_str(), "7"), -EBADF);
    assert_int_equal(passed_with(own.c_str(), "2147483647"), -EBADF);
    for (const char *number : {"", "-1", "2147483648", "18446744073709551616", "1x", " 1", "+1"}) {
        assert_int_equal(passed_with(own.c_str(), number), -EINVAL);
    }
    for (const std::string &pid : {std::string(), own + "0", "0" + own + "x", "-" + own, own + " ",
                                   std::to_string(4294967296LL + getpid())}) {
        assert_int_equal(passed_with(pid.c_str(), "1"), 0);
    }
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_supervisor_writes_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_at_all_is_right_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(those_from_0_on_can_have_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_of_the_supervisor_is_its_workers_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_nobody_writes_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_reported_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_long_names_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_open_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_change_of_a_text_is_taken_or_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_systemd_passed_is_counted_with_care, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("inherited descriptors", tests, nullptr, nullptr);
}
