// What was bound, and what is handed on: the notes that are kept of sockets.
//
// SPDX-License-Identifier: MIT
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/net/bound_sockets.h"
#include "os/net/sockets.h"

using namespace prefork;
using os::SocketKey;

namespace {

int open_one() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

size_t set_count() {
    size_t count = 0;
    for (const os::BoundSet *set = os::bound_sets(); set != nullptr; set = set->next) {
        count++;
    }
    return count;
}

// Sets are forgotten when another is noted: so that each test begins without any but its own.
void note(const SocketKey &key, std::span<const int> descriptors) {
    assert_int_equal(os::note_bound_sockets(key, descriptors), 0);
}

void keys_differ_in_each_of_their_parts(void **) {
    const SocketKey key{"host", 80, AF_INET, 1};
    char same_name[] = "host";

    assert_true(os::are_equal(key, {same_name, 80, AF_INET, 1}));
    assert_false(os::are_equal(key, {"hosts", 80, AF_INET, 1}));
    assert_false(os::are_equal(key, {"", 80, AF_INET, 1}));
    assert_false(os::are_equal(key, {"host", 0, AF_INET, 1}));
    assert_false(os::are_equal(key, {"host", 80, AF_UNSPEC, 1}));
    assert_false(os::are_equal(key, {"host", 80, AF_INET, 0}));
}

void sets_are_kept_in_order_and_by_value(void **) {
    const int descriptors[] = {open_one(), open_one(), open_one()};
    char name[] = "first";
    note({name, 1, AF_INET, 0}, std::span(descriptors).first(2));
    memset(name, 'x', 5);
    note({"first", 1, AF_INET, 0}, std::span(descriptors).last(1));

    const os::BoundSet *set = os::bound_sets();
    assert_int_equal(set_count(), 2);
    assert_true(os::are_equal(set->key, {"first", 1, AF_INET, 0}));
    assert_int_equal(set->sockets.size(), 2);
    assert_int_equal(set->sockets[0].get(), descriptors[0]);
    assert_int_equal(set->sockets[1].get(), descriptors[1]);
    assert_int_equal(set->next->sockets[0].get(), descriptors[2]);
    for (const int descriptor : descriptors) {
        close(descriptor);
    }
}

void another_file_under_the_number_is_not_taken_for_it(void **) {
    const int descriptor = open_one();
    note({"moved", 0, AF_UNIX, 0}, {&descriptor, 1});
    const os::BorrowedFd bound = os::bound_sets()->sockets[0];
    assert_true(bound.is_still_open());

    const int other = open_one();
    assert_int_equal(dup3(other, descriptor, O_CLOEXEC), descriptor);

    assert_false(bound.is_still_open());
    close(descriptor);
    assert_false(bound.is_still_open());
    close(other);
}

void a_set_is_forgotten_when_all_of_it_is_closed(void **) {
    const int both[] = {open_one(), open_one()};
    const int other = open_one();
    note({"both", 0, AF_INET, 0}, both);
    close(both[0]);
    note({"other", 0, AF_INET, 0}, {&other, 1});
    assert_int_equal(set_count(), 2);

    close(both[1]);
    note({"other", 0, AF_INET, 0}, {&other, 1});

    assert_int_equal(set_count(), 2);
    assert_string_equal(os::bound_sets()->key.name, "other");
    close(other);
}

// ---- Handed on ---------------------------------------------------------------------------

void what_was_handed_on_is_given_instead(void **) {
    const SocketKey host{"name.invalid", 7, AF_INET6, 1}; // nobody could bind these
    const SocketKey path{"/nowhere/at/all", 0, AF_UNIX, 0};
    const int handed[] = {open_one(), open_one(), open_one(), open_one()};
    const size_t count_before = set_count();
    int got[2] = {-1, -1};
    assert_int_equal(os::note_handed_on(host, std::span(handed).first(1)), 0);
    assert_int_equal(os::note_handed_on(path, std::span(handed).subspan(1, 1)), 0);
    assert_int_equal(os::note_handed_on(host, std::span(handed).last(2)), 0);
    assert_int_equal(set_count(), count_before);

    // In their order, and those of one key apart from the others.
    assert_int_equal(os::bind_sockets(host, 0, got), 1);
    assert_int_equal(got[0], handed[0]);
    assert_int_equal(os::bind_sockets(host, 0, std::span(got).first(1)), -ENOBUFS);
    assert_int_equal(os::bind_sockets(host, 0, got), 2);
    assert_int_equal(got[0], handed[2]);
    assert_int_equal(got[1], handed[3]);
    assert_int_equal(os::bind_unix_socket(path.name, 0600, 0), handed[1]);

    // Each once. All are noted, as they may be handed on again.
    assert_int_equal(os::find_handed_on(host, got), 0);
    assert_int_equal(set_count(), 3);
    for (const int descriptor : handed) {
        close(descriptor);
    }
}

void of_those_handed_on_what_was_closed_is_not_given(void **) {
    const SocketKey key{"name.invalid", 7, AF_INET6, 1};
    const int handed[] = {open_one(), open_one(), open_one()};
    int got[2] = {-1, -1};
    assert_int_equal(os::note_handed_on(key, std::span(handed).first(1)), 0);
    assert_int_equal(os::note_handed_on(key, std::span(handed).last(2)), 0);
    close(handed[0]);
    close(handed[1]);

    assert_int_equal(os::find_handed_on(key, got), 1);

    assert_int_equal(got[0], handed[2]);
    assert_int_equal(os::find_handed_on(key, got), 0);
    close(handed[2]);
}

void without_a_match_sockets_are_bound(void **) {
    const int handed = open_one();
    int got[1] = {-1};
    assert_int_equal(os::note_handed_on({"127.0.0.1", 0, AF_INET, 1}, {&handed, 1}), 0);

    assert_int_equal(os::bind_sockets({"127.0.0.1", 0, AF_INET, 0}, 1, got), 1);

    assert_int_not_equal(got[0], handed);
    assert_true(os::bound_sets()->sockets[0].is_still_open());
    assert_int_equal(os::bound_sets()->sockets[0].get(), got[0]);
    close(got[0]);
    close(handed);
}

void a_copy_stays_when_the_sockets_are_closed(void **) {
    const int descriptors[] = {open_one(), open_one()};
    note({"one", 1, AF_INET, 0}, std::span(descriptors).first(1));
    note({"two", 2, AF_INET, 0}, std::span(descriptors).last(1));
    os::BoundSet *copy = nullptr;

    assert_int_equal(os::copy_bound_sets(&copy), 0);
    close(descriptors[0]);
    close(descriptors[1]);
    note({"three", 3, AF_INET, 0}, {});

    assert_true(os::are_equal(copy->key, {"one", 1, AF_INET, 0}));
    assert_true(os::are_equal(copy->next->key, {"two", 2, AF_INET, 0}));
    assert_null(copy->next->next);
    assert_int_equal(copy->next->sockets[0].get(), descriptors[1]);
    assert_false(copy->next->sockets[0].is_still_open());
    os::free_sets(copy);
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_differ_in_each_of_their_parts),
        cmocka_unit_test(sets_are_kept_in_order_and_by_value),
        cmocka_unit_test(another_file_under_the_number_is_not_taken_for_it),
        cmocka_unit_test(a_set_is_forgotten_when_all_of_it_is_closed),
        cmocka_unit_test(what_was_handed_on_is_given_instead),
        cmocka_unit_test(of_those_handed_on_what_was_closed_is_not_given),
        cmocka_unit_test(a_copy_stays_when_the_sockets_are_closed),
        cmocka_unit_test(without_a_match_sockets_are_bound),
    };

    return cmocka_run_group_tests_name("bound sockets", tests, nullptr, nullptr);
}
