// Whether the kernel has killed for lack of memory, read from trees made for the purpose.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <stdio.h>

#include "os/watch/oom_count.h"
#include "tree.h"

using prefork::os::OomCount;
using tests::make_root;
using tests::put;
using tests::remove_root;
using tests::root;

namespace {

void put_count(const char *kills) {
    char text[256];
    snprintf(text, sizeof(text), "low 0\nhigh 7\nmax 3\noom 9\noom_kill %s\noom_group_kill 5\n",
             kills);
    put("sys/fs/cgroup/a/b/memory.events", text);
}

void a_count_that_rises_is_noticed_once(void **) {
    put("proc/self/cgroup", "4:memory:/other\n0::/a/b\n");
    OomCount count(root);
    put_count("0");
    assert_false(count.has_risen());

    put_count("1");

    assert_true(count.has_risen());
    assert_false(count.has_risen());
    put_count("18446744073709551615");
    assert_true(count.has_risen());
}

void the_first_look_compares_with_zero(void **) {
    put("proc/self/cgroup", "0::/a/b\n");
    put_count("2");
    OomCount count(root);

    assert_true(count.has_risen());
    assert_false(count.has_risen());
}

void a_system_that_does_not_say_has_not_killed(void **) {
    assert_false(OomCount(root).has_risen()); // there is no /proc
    const char *const groups[] = {"", "0::", "4:memory:/a/b\n", "0::/none\n", "0::/../a/b\n", "0"};
    put_count("3");
    for (const char *group : groups) {
        put("proc/self/cgroup", group);
        assert_false(OomCount(root).has_risen());
    }
    const char *const events[] = {"", "\n", "oom_kill", "oom_kill \n", "oom_kill -1\n", "oom 4\n"};
    put("proc/self/cgroup", "0::/a/b\n");
    for (const char *text : events) {
        put("sys/fs/cgroup/a/b/memory.events", text);
        assert_false(OomCount(root).has_risen());
    }
    put_count("1");
    assert_true(OomCount(root).has_risen());
}

void a_system_that_does_not_say_is_not_asked_again(void **) {
    OomCount count(root);
    put("proc/self/cgroup", "4:memory:/a/b\n");
    put_count("3");
    assert_false(count.has_risen());

    put("proc/self/cgroup", "0::/a/b\n");

    assert_false(count.has_risen());
}

const CMUnitTest tests_of_the_count[] = {
    cmocka_unit_test_setup_teardown(a_count_that_rises_is_noticed_once, make_root, remove_root),
    cmocka_unit_test_setup_teardown(the_first_look_compares_with_zero, make_root, remove_root),
    cmocka_unit_test_setup_teardown(a_system_that_does_not_say_has_not_killed, make_root,
                                    remove_root),
    cmocka_unit_test_setup_teardown(a_system_that_does_not_say_is_not_asked_again, make_root,
                                    remove_root),
};

} // namespace

int main() {
    return cmocka_run_group_tests_name("oom_count", tests_of_the_count, nullptr, nullptr);
}
