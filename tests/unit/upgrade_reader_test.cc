// The file that a supervisor hands over to its next program: what is read of it, and what is
// refused.
//
// SPDX-License-Identifier: MIT
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "os/upgrade/reader.h" // before the macro skip of CMocka

#include "cmocka_all.h"

using namespace prefork::os;

namespace {

constexpr int32_t own_pid = 4711;
using File = std::vector<unsigned char>;

template <typename Value>
void add(File *file, const Value &value) {
    const auto *bytes = reinterpret_cast<const unsigned char *>(&value);
    file->insert(file->end(), bytes, bytes + sizeof(value));
}

UpgradePool make_pool() {
    UpgradePool pool{};
    memcpy(pool.name, "web", 4);
    pool.channel.read_end = 10;
    pool.channel.write_end = 11;
    pool.notifications.socket = -1;
    pool.notifications.place = -1;
    pool.liveness_read_end = -1;
    pool.liveness_write_end = -1;
    pool.worker_count = 2;
    pool.spare_count = 1;
    pool.policy_size = 16;
    return pool;
}

UpgradeWorker make_worker(int32_t pid, int32_t pidfd) {
    UpgradeWorker worker{};
    worker.channel.stop_end = -1;
    worker.pid = pid;
    worker.pidfd = pidfd;
    return worker;
}

// One process, one descriptor, one set of sockets and one pool.
File make_file(uint32_t version = UpgradeHeader::this_version) {
    File file;
    add(&file, UpgradeHeader{UpgradeHeader::magic_number, version, own_pid, 1, 1});
    add(&file, UpgradeProcess{100, 12});
    add(&file, int32_t{20});
    UpgradeFacts facts{};
    facts.set_count = 1;
    facts.pool_count = 1;
    facts.pid_file = -1;
    add(&file, facts);
    add(&file, UpgradeSet{8080, 2, 0, 1, 4});
    add(&file, int32_t{20});
    file.insert(file.end(), {'w', 'e', 'b', 0});
    add(&file, make_pool());
    add(&file, make_worker(100, 12));
    add(&file, make_worker(0, -1));
    add(&file, UpgradeProcess{0, -1});
    file.insert(file.end(), 16, 7);
    return file;
}

bool opens(const File &file, int32_t pid = own_pid) {
    UpgradeReader reader;
    return reader.open(file, pid);
}

// Everything that a reader shows is inside of the file: a sanitizer finds what is not.
bool read_all(const File &file) {
    UpgradeReader reader;
    UpgradeSetView set{};
    UpgradePoolView pool{};
    if (!reader.open(file, own_pid)) {
        return false;
    }
    reader.begin();
    for (uint32_t index = 0; index < reader.facts().set_count; index++) {
        assert_true(reader.next_set(&set));
        assert_true(strlen(set.name) < set.set.name_size);
        assert_true(set.descriptor(set.set.count - 1) >= 3);
    }
    for (uint32_t index = 0; reader.has_pools() && index < reader.facts().pool_count; index++) {
        assert_true(reader.next_pool(&pool));
        for (uint32_t worker = 0; worker < pool.pool.worker_count; worker++) {
            assert_true(pool.worker(worker).pid >= 0);
        }
        for (uint32_t spare = 0; spare < pool.pool.spare_count; spare++) {
            assert_true(pool.spare(spare).pid >= 0);
        }
    }
    return reader.has_pools();
}

void all_that_was_written_is_read(void **) {
    const File file = make_file();
    UpgradeReader reader;
    UpgradeSetView set{};
    UpgradePoolView pool{};

    assert_true(reader.open(file, own_pid));

    assert_true(reader.has_pools());
    assert_int_equal(reader.process(0).pid, 100);
    assert_int_equal(reader.descriptor(0), 20);
    reader.begin();
    assert_true(reader.next_set(&set));
    assert_int_equal(set.set.port, 8080);
    assert_string_equal(set.name, "web");
    assert_int_equal(set.descriptor(0), 20);
    assert_true(reader.next_pool(&pool));
    assert_string_equal(pool.pool.name, "web");
    assert_int_equal(pool.worker(0).pidfd, 12);
    assert_int_equal(pool.spare(0).pid, 0);
    assert_int_equal(pool.policy.size(), 16);
}

void file_of_another_process_is_refused(void **) {
    assert_false(opens(make_file(), own_pid + 1));
    assert_false(opens({}));
}

void pools_of_another_version_are_left_out(void **) {
    const File file = make_file(UpgradeHeader::this_version + 1);

    assert_true(opens(file));
    assert_false(read_all(file));
}

void file_that_ends_early_has_no_pools(void **) {
    const File whole = make_file();
    assert_true(read_all(whole));

    for (size_t length = 0; length < whole.size(); length++) {
        assert_false(read_all(File(whole.begin(), whole.begin() + static_cast<long>(length))));
    }
    File longer = whole;
    longer.push_back(0);
    assert_false(read_all(longer));
}

// Whatever stands there: it is refused, or can be read.
void no_number_leads_out_of_the_file(void **) {
    const File whole = make_file();
    unsigned refused = 0;

    for (size_t place = 0; place + sizeof(int32_t) <= whole.size(); place += sizeof(int32_t)) {
        for (const int32_t number : {0, -1, 1, 2, INT32_MIN, INT32_MAX, 1 << 20}) {
            File other = whole;
            memcpy(&other[place], &number, sizeof(number));
            refused += read_all(other) ? 0U : 1U;
        }
    }

    assert_true(refused > 50);
}

// The sizes of these lists are more than 32 bits can say. Their entries are valid to the end of the
// file, and what comes behind it cannot be read.
void count_whose_size_wraps_is_refused(void **) {
    constexpr uint32_t too_many_processes = 0x2000'0001; // wraps to the size of one
    constexpr uint32_t too_many_descriptors = 0x4000'0001;
    constexpr int entries = 100;
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void *pages =
        mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    unsigned char *end = static_cast<unsigned char *>(pages) + page;
    assert_int_equal(mprotect(end, page, PROT_NONE), 0);

    for (const bool of_processes : {true, false}) {
        File file;
        add(&file, UpgradeHeader{UpgradeHeader::magic_number, UpgradeHeader::this_version, own_pid,
                                 of_processes ? too_many_processes : 0,
                                 of_processes ? 0 : too_many_descriptors});
        for (int index = 0; index < entries; index++) {
            add(&file, UpgradeProcess{100, 12});
        }
        memcpy(end - file.size(), file.data(), file.size());
        UpgradeReader reader;
        assert_false(reader.open({end - file.size(), file.size()}, own_pid));
    }

    assert_int_equal(munmap(pages, 2 * page), 0);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(all_that_was_written_is_read),
        cmocka_unit_test(file_of_another_process_is_refused),
        cmocka_unit_test(pools_of_another_version_are_left_out),
        cmocka_unit_test(file_that_ends_early_has_no_pools),
        cmocka_unit_test(no_number_leads_out_of_the_file),
        cmocka_unit_test(count_whose_size_wraps_is_refused),
    };
    return cmocka_run_group_tests_name("upgrade reader", tests, nullptr, nullptr);
}
