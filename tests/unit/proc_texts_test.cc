// What the library reads below /proc, where something else than the kernel's may be mounted.
//
// SPDX-License-Identifier: MIT
#undef _FORTIFY_SOURCE // with which headers define read(), as this file does
#include <cerrno>
#include <cstring>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"

#include "os/watch/child_list.h"
#include "os/watch/process_handle.h"

namespace os = prefork::os;

namespace {

const std::string *text = nullptr; // what the library reads next; nullptr: what is there
size_t position = 0;
bool waits_are_refused = false;

int reset(void ** /*state*/) {
    text = nullptr;
    waits_are_refused = false;
    return 0;
}

bool read_children(const std::string &children, os::ChildList *list) {
    text = &children;
    position = 0;
    const bool result = list->read();
    text = nullptr;
    return result;
}

void children_are_sorted_numbers(void ** /*state*/) {
    os::ChildList list;

    assert_true(read_children("30 2147483647 7 ", &list));

    assert_int_equal(list.count(), 3);
    assert_int_equal(list[0], 7);
    assert_int_equal(list[1], 30);
    assert_int_equal(list[2], 2147483647);
}

void children_that_are_no_pids_are_not_known(void ** /*state*/) {
    for (const char *children : {"2147483648 7 ", "12147483648 ", "4294967303 ",
                                 "99999999999999999999 ", "18446744073709551623 "}) {
        os::ChildList list;

        assert_false(read_children(children, &list));
    }
}

int32_t newest_with(const std::string &loadavg) {
    text = &loadavg;
    position = 0;
    const int32_t newest = os::newest_pid();
    text = nullptr;
    return newest;
}

void the_newest_pid_is_the_last_number(void ** /*state*/) {
    assert_int_equal(newest_with("0.16 0.24 0.21 2/345 4194304\n"), 4194304);
    assert_int_equal(newest_with("0.16 0.24 0.21 2/345 7"), 7);
}

// Each pid up to it is asked for.
void a_newest_pid_that_no_process_can_have_is_unknown(void ** /*state*/) {
    for (const char *number : {"", "x", "-1", "4194305", "2147483647", "2147483648", "4294967303",
                               "18446744073709551623", "\n"}) {
        assert_int_equal(newest_with(std::string("0.16 0.24 0.21 2/345 ") + number), 0);
    }
    assert_int_equal(newest_with(""), 0);
    assert_int_equal(newest_with("7"), 0);
}

os::ChildState state_with(const std::string &stat) {
    text = &stat;
    position = 0;
    waits_are_refused = true;
    const os::ChildState state = os::state_of_child(getppid());
    reset(nullptr);
    return state;
}

void a_state_is_read_from_its_text(void ** /*state*/) {
    const std::string parent = " " + std::to_string(getpid()) + " 1 1\n";

    assert_int_equal(state_with("7 (a) b) Z" + parent), os::ChildState::zombie);
    assert_int_equal(state_with("7 (a) S" + parent), os::ChildState::running);
    assert_int_equal(state_with("7 (a) S 0 1 1\n"), os::ChildState::none);
}

// At any length, also where the buffer ends.
void a_state_that_is_cut_off_is_unknown(void ** /*state*/) {
    for (size_t length = 1; length <= 256; length++) {
        for (const char *end : {")", ") ", ") S", ")\n", "))", ")S 1"}) {
            const std::string name(length < 4 ? 0 : length - strlen(end), 'x');

            assert_int_equal(state_with(name + end), os::ChildState::unknown);
        }
    }
}

} // namespace

// The library calls these instead of libc's.
ssize_t read(int descriptor, void *buffer, size_t size) {
    if (text == nullptr) {
        return syscall(SYS_read, descriptor, buffer, size);
    }
    const size_t length = text->copy(static_cast<char *>(buffer), size, position);
    position += length;
    return static_cast<ssize_t>(length);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
    if (waits_are_refused) {
        errno = EPERM;
        return -1;
    }
    return static_cast<int>(syscall(SYS_waitid, type, id, info, options, nullptr));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup(children_are_sorted_numbers, reset),
        cmocka_unit_test_setup(children_that_are_no_pids_are_not_known, reset),
        cmocka_unit_test_setup(the_newest_pid_is_the_last_number, reset),
        cmocka_unit_test_setup(a_newest_pid_that_no_process_can_have_is_unknown, reset),
        cmocka_unit_test_setup(a_state_is_read_from_its_text, reset),
        cmocka_unit_test_setup(a_state_that_is_cut_off_is_unknown, reset),
    };
    return cmocka_run_group_tests_name("texts below /proc", tests, nullptr, nullptr);
}
