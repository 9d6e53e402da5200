// The processors that control groups allow, read from trees made for the purpose.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/processors.h"

using prefork::os::quota_count;

namespace {

char root[64];

// Writes a file below the root, with the folders on its way.
void put(const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != nullptr;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

int make_root(void **) {
    strcpy(root, "/tmp/prefork-processors-XXXXXX");
    return mkdtemp(root) == nullptr ? -1 : 0;
}

int remove_root(void **) {
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command);
}

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
};

} // namespace

int main() {
    return cmocka_run_group_tests_name("processors", tests_of_processors, nullptr, nullptr);
}
