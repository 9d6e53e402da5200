// New states for the generators of the C library.
//
// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "os/process/random.h"

using prefork::os::reseed_generators;

namespace {

constexpr int count = 100;

// The sizes of states that initstate(3) has a type for.
constexpr size_t sizes[] = {8, 32, 64, 128, 256};

void draw(long *ret_values) {
    for (int index = 0; index < count; index++) {
        ret_values[index] = random();
    }
}

bool is_same(const long *one, const long *other) {
    return memcmp(one, other, count * sizeof(*one)) == 0;
}

void the_same_seed_gives_the_same_numbers(void ** /*state*/) {
    long first[count];
    long second[count];
    reseed_generators(1);
    draw(first);
    const double first_real = drand48();
    reseed_generators(1);
    draw(second);
    assert_true(is_same(first, second));
    reseed_generators(1);
    assert_true(rand() == first[0] && drand48() == first_real);
}

void similar_seeds_give_different_numbers(void ** /*state*/) {
    constexpr uint64_t seeds = 200;
    long first[seeds];
    double first_real[seeds];
    for (uint64_t seed = 0; seed < seeds; seed++) {
        reseed_generators(seed);
        first[seed] = random();
        first_real[seed] = drand48();
        for (uint64_t earlier = 0; earlier < seed; earlier++) {
            assert_true(first[seed] != first[earlier] && first_real[seed] != first_real[earlier]);
        }
    }
}

void the_numbers_do_not_repeat_and_fill_their_range(void ** /*state*/) {
    constexpr int draws = 4000;
    int ones[31] = {};
    for (uint64_t seed = 0; seed < 20; seed++) {
        reseed_generators(seed);
        for (int index = 0; index < draws / 20; index++) {
            const long value = random();
            for (int bit = 0; bit < 31; bit++) {
                ones[bit] += static_cast<int>(value >> bit & 1);
            }
        }
    }
    for (const int number : ones) {
        assert_true(number > draws * 45 / 100 && number < draws * 55 / 100);
    }
}

// A host that seeds by itself afterwards gets the numbers that it expects.
void a_state_of_the_host_keeps_its_size(void ** /*state*/) {
    long expected[count];
    long values[count];
    for (const size_t size : sizes) {
        alignas(int32_t) char host_state[256];
        char *last = initstate(7, host_state, size);
        assert_non_null(last);
        draw(expected);
        reseed_generators(size);
        assert_true(random() != random());
        srandom(7);
        draw(values);
        assert_true(is_same(values, expected));
        assert_ptr_equal(setstate(last), host_state);
    }
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(similar_seeds_give_different_numbers),
        cmocka_unit_test(the_numbers_do_not_repeat_and_fill_their_range),
        cmocka_unit_test(a_state_of_the_host_keeps_its_size),
    };
    return cmocka_run_group_tests_name("random", tests, nullptr, nullptr);
}
