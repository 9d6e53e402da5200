// The processors that control groups allow, read from trees made for the purpose.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <fcntl.h>
#include <initializer_list>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/cpu/processors.h"
#include "tree.h"

using prefork::os::quota_count;
using tests::make_root;
using tests::put;
using tests::remove_root;
using tests::root;

namespace {

void put_version_2(const char *group) {
    char line[256];
    put("proc/self/mountinfo",
        "21 1 8:1 / / rw,relatime - ext4 /dev/vda rw\n"
        "30 21 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
    snprintf(line, sizeof(line), "0::%s\n", group);
    put("proc/self/cgroup", line);
}

void put_version_1(const char *mounted, const char *group) {
    char text[512];
    snprintf(text, sizeof(text),
             "21 1 8:1 / / rw - ext4 /dev/vda rw\n"
             "31 21 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
             "32 21 0:28 %s /sys/fs/cgroup/cpu rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n",
             mounted);
    put("proc/self/mountinfo", text);
    snprintf(text, sizeof(text), "5:cpuset:/other\n4:cpu,cpuacct:%s\n0::/\n", group);
    put("proc/self/cgroup", text);
}

void no_control_groups_are_no_limit(void **) { assert_int_equal(quota_count(root), 0); }

void version_2_quota_is_rounded_up(void **) {
    put_version_2("/app");
    put("sys/fs/cgroup/app/cpu.max", "150000 100000\n");
    assert_int_equal(quota_count(root), 2);
}

void version_2_without_quota_is_no_limit(void **) {
    put_version_2("/app");
    put("sys/fs/cgroup/app/cpu.max", "max 100000\n");
    assert_int_equal(quota_count(root), 0);
}

void version_2_quota_of_a_parent_holds_for_its_children(void **) {
    put_version_2("/slice/app/worker");
    put("sys/fs/cgroup/slice/cpu.max", "300000 100000\n");
    put("sys/fs/cgroup/slice/app/worker/cpu.max", "max 100000\n");
    assert_int_equal(quota_count(root), 3);
}

void smallest_quota_of_all_parents_holds(void **) {
    put_version_2("/slice/app");
    put("sys/fs/cgroup/slice/cpu.max", "100000 100000\n");
    put("sys/fs/cgroup/slice/app/cpu.max", "400000 100000\n");
    assert_int_equal(quota_count(root), 1);
}

void quota_of_less_than_one_processor_is_one(void **) {
    put_version_2("/");
    put("sys/fs/cgroup/cpu.max", "5000 100000\n");
    assert_int_equal(quota_count(root), 1);
}

void version_1_quota_is_rounded_up(void **) {
    put_version_1("/", "/app");
    put("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "250000\n");
    put("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota_count(root), 3);
}

void version_1_quota_of_minus_one_is_no_limit(void **) {
    put_version_1("/", "/app");
    put("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota_count(root), 0);
}

void mount_of_a_container_shows_only_the_part_below_its_group(void **) {
    put_version_1("/docker/abc", "/docker/abc/inner");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota_count(root), 2);
}

void group_that_the_mount_does_not_show_counts_as_its_root(void **) {
    put_version_1("/docker/abc", "/elsewhere");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota_count(root), 2);
}

void files_without_sense_are_no_limit(void **) {
    put_version_2("/app");
    put("sys/fs/cgroup/app/cpu.max", "nonsense\n");
    put("sys/fs/cgroup/cpu.max", "");
    assert_int_equal(quota_count(root), 0);
}

// Both versions, with the same numbers.
void assert_quota(const char *quota, const char *period, int expected) {
    char text[256];
    put_version_2("/app");
    snprintf(text, sizeof(text), "%s %s\n", quota, period);
    put("sys/fs/cgroup/app/cpu.max", text);
    assert_int_equal(quota_count(root), expected);
    put_version_1("/", "/app");
    snprintf(text, sizeof(text), "%s\n", quota);
    put("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", text);
    snprintf(text, sizeof(text), "%s\n", period);
    put("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", text);
    assert_int_equal(quota_count(root), expected);
}

void huge_quotas_do_not_overflow(void **) {
    assert_quota("9223372036854775", "100000", INT32_MAX);
    assert_quota("9223372036854776", "1", INT32_MAX);
    assert_quota("922337203685477579", "1000000", INT32_MAX);
    assert_quota("92233720368547758", "9223372036854775", 11);
    assert_quota("92233720368547758", "92233720368547758", 1);
    assert_quota("1", "922337203685477580", 1);
    assert_quota("214748364700000", "100000", INT32_MAX);
    assert_quota("214748364600000", "100000", INT32_MAX - 1);
    assert_quota("214748364600001", "100000", INT32_MAX);
}

void quotas_too_large_for_a_number_are_no_limit(void **) {
    assert_quota("9223372036854775808", "100000", 0);
    assert_quota("18446744073709551615", "100000", 0);
    assert_quota("18446744073709651616", "100000", 0); // 100000 in 64 bits
    assert_quota("99999999999999999999999999999999", "100000", 0);
    assert_quota("100000", "18446744073709551615", 0);
}

void numbers_that_are_none_are_no_limit(void **) {
    for (const char *text : {"", "-1", "-100000", "+100000", "0", "0x1000", "1e5", "100000us",
                             "max", "1.5", "\t100000"}) {
        assert_quota(text, "100000", 0);
        assert_quota("100000", text, 0);
    }
}

void a_period_that_is_missing_is_no_limit(void **) {
    put_version_2("/app");
    put("sys/fs/cgroup/app/cpu.max", "150000\n");
    assert_int_equal(quota_count(root), 0);
    put("sys/fs/cgroup/app/cpu.max", "150000 ");
    assert_int_equal(quota_count(root), 0);
    put("sys/fs/cgroup/app/cpu.max", "150000 100000 and more\n");
    assert_int_equal(quota_count(root), 2);
}

void group_with_the_beginning_of_anothers_name_is_not_below_it(void **) {
    put_version_1("/docker/abc", "/docker/abcdef");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/cpudef/cpu.cfs_quota_us", "100000\n");
    put("sys/fs/cgroup/cpudef/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota_count(root), 2);
}

void group_outside_of_the_namespace_counts_as_the_root_of_the_mount(void **) {
    put_version_2("/../../../other");
    put("sys/fs/cgroup/cpu.max", "200000 100000\n");
    put("other/cpu.max", "100000 100000\n");
    put("sys/other/cpu.max", "100000 100000\n");
    assert_int_equal(quota_count(root), 2);
}

// As in a container to which a volume gives the groups of the machine too.
void a_mount_that_shows_the_group_comes_before_one_that_does_not(void **) {
    put("proc/self/mountinfo", "29 21 0:26 /../.. /groups rw - cgroup2 cgroup2 rw\n"
                               "30 21 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
                               "31 21 0:26 /other /other rw - cgroup2 cgroup2 rw\n");
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/cpu.max", "200000 100000\n");
    put("other/cpu.max", "100000 100000\n");
    assert_int_equal(quota_count(root), 2);
    put("groups/cpu.max", "300000 100000\n");
    put("proc/self/cgroup", "0::/other\n");
    put("proc/self/mountinfo", "29 21 0:26 /../.. /groups rw - cgroup2 cgroup2 rw\n"
                               "31 21 0:26 /other /other rw - cgroup2 cgroup2 rw\n");
    assert_int_equal(quota_count(root), 1);
}

void mount_point_with_a_space_is_found(void **) {
    put("proc/self/mountinfo", "30 21 0:26 / /control\\040groups rw - cgroup2 cgroup2 rw\n");
    put("proc/self/cgroup", "0::/app\n");
    put("control groups/app/cpu.max", "200000 100000\n");
    assert_int_equal(quota_count(root), 2);
}

void tables_without_sense_are_no_limit(void **) {
    put("sys/fs/cgroup/cpu.max", "200000 100000\n");
    put("proc/self/cgroup", "0::/\n");
    for (const char *text : {"", "\n", " - ", " - cgroup2", " - cgroup2 ", "- cgroup2 cgroup2 rw\n",
                             "30 - cgroup2 x y", "\\\\0 \\ \\4 \\04 \\040 - cgroup2 x y",
                             "30 21 0:26 /", "    - cgroup2 x y\n"}) {
        put("proc/self/mountinfo", text);
        assert_int_equal(quota_count(root), 0);
    }
    put_version_2("/");
    for (const char *text : {"", "\n", ":", "::", "0", "0:", "0:cpu", ":::::", "0:x:/\n:", "/"}) {
        put("proc/self/cgroup", text);
        const int count = quota_count(root);
        assert_true(count == 0 || count == 2);
    }
}

void names_of_any_length_do_no_harm(void **) {
    constexpr size_t size = 32'000;
    static char name[size];
    static char text[size + 64];
    for (size_t length = 4'000; length < size; length += 1'777) {
        memset(name, length % 2 == 0 ? 'a' : '/', length);
        name[length] = '\0';
        snprintf(text, sizeof(text), "0::/%s\n", name);
        put_version_2("/");
        put("sys/fs/cgroup/cpu.max", "200000 100000\n");
        put("proc/self/cgroup", text);
        assert_int_equal(quota_count(root), 2);
        snprintf(text, sizeof(text), "1 2 3 / /%s rw - cgroup2 x y\n", name);
        put("proc/self/mountinfo", text);
        (void)quota_count(root);
    }
}

#define IN_OWN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

const CMUnitTest tests_of_processors[] = {
    IN_OWN_ROOT(no_control_groups_are_no_limit),
    IN_OWN_ROOT(version_2_quota_is_rounded_up),
    IN_OWN_ROOT(version_2_without_quota_is_no_limit),
    IN_OWN_ROOT(version_2_quota_of_a_parent_holds_for_its_children),
    IN_OWN_ROOT(smallest_quota_of_all_parents_holds),
    IN_OWN_ROOT(quota_of_less_than_one_processor_is_one),
    IN_OWN_ROOT(version_1_quota_is_rounded_up),
    IN_OWN_ROOT(version_1_quota_of_minus_one_is_no_limit),
    IN_OWN_ROOT(mount_of_a_container_shows_only_the_part_below_its_group),
    IN_OWN_ROOT(group_that_the_mount_does_not_show_counts_as_its_root),
    IN_OWN_ROOT(files_without_sense_are_no_limit),
    IN_OWN_ROOT(huge_quotas_do_not_overflow),
    IN_OWN_ROOT(quotas_too_large_for_a_number_are_no_limit),
    IN_OWN_ROOT(numbers_that_are_none_are_no_limit),
    IN_OWN_ROOT(a_period_that_is_missing_is_no_limit),
    IN_OWN_ROOT(group_with_the_beginning_of_anothers_name_is_not_below_it),
    IN_OWN_ROOT(group_outside_of_the_namespace_counts_as_the_root_of_the_mount),
    IN_OWN_ROOT(a_mount_that_shows_the_group_comes_before_one_that_does_not),
    IN_OWN_ROOT(mount_point_with_a_space_is_found),
    IN_OWN_ROOT(tables_without_sense_are_no_limit),
    IN_OWN_ROOT(names_of_any_length_do_no_harm),
};

} // namespace

int main() {
    return cmocka_run_group_tests_name("processors", tests_of_processors, nullptr, nullptr);
}
