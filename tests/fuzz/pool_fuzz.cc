// A pool whose host gives it any values, and calls its functions in any order. The host is to fork
// the workers and always fails to, so that nothing is slower than a system call.
//
// The input: a call and its values, one after the other.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <initializer_list>
#include <string>
#include <unistd.h>
#include <vector>

#include "input.h"
#include "prefork.h"

namespace {

constexpr int slots_max = 64; // of this test: a pool may have more

// Near a bound more often than not.
int any_int(fuzz::Input *input) {
    constexpr int bounds[] = {0,  1,   2,     3,     -1,      INT32_MAX,    INT32_MIN,
                              65, 255, 65535, 65536, 1000000, INT32_MIN + 1};
    const uint8_t choice = input->byte();
    return choice < 128   ? bounds[choice % std::size(bounds)]
           : choice < 240 ? choice - 128
                          : input->number<int32_t>();
}

uint64_t any_duration(fuzz::Input *input) {
    constexpr uint64_t bounds[] = {0,
                                   1,
                                   2,
                                   1000,
                                   INT32_MAX,
                                   UINT32_MAX,
                                   UINT64_MAX,
                                   UINT64_MAX / 1'000'000,
                                   UINT64_MAX / 1'000'000 + 1,
                                   INT64_MAX / 1'000'000,
                                   31'536'000'000,
                                   315'360'000'000};
    const uint8_t choice = input->byte();
    return choice < 200 ? bounds[choice % std::size(bounds)] : input->number<uint64_t>();
}

bool is_one_of(int result, std::initializer_list<int> expected) {
    return std::find(expected.begin(), expected.end(), result) != expected.end();
}

int freed = 0;
int given = 0;

void free_user(void *user) {
    EXPECT(user == &freed);
    freed += 1;
}

void on_event(const pf_event *event, void * /*user*/) {
    EXPECT(pf_event_type_name(pf_event_type(event)) != nullptr);
    EXPECT(pf_event_message(event) != nullptr);
}

int set_number(pf_pool *pool, uint32_t which, int value) {
    constexpr int (*setters[])(pf_pool *,
                               int) = {pf_pool_set_restart_policy, pf_pool_set_max_restarts,
                                       pf_pool_set_boot_limit,     pf_pool_set_limit_action,
                                       pf_pool_set_reload_order,   pf_pool_set_replace_width,
                                       pf_pool_set_thread_policy,  pf_pool_set_stop_fd,
                                       pf_pool_set_process_groups, pf_pool_set_reap_orphans,
                                       pf_pool_set_manager_notify, pf_pool_set_backend,
                                       pf_pool_set_signals,        pf_pool_set_parent_death_signal};
    return setters[which % std::size(setters)](pool, value);
}

// A setting: it is accepted, or refused with a reason that its page has.
void set(pf_pool *pool, fuzz::Input *input, bool has_started) {
    const uint32_t which = input->below(26);
    int result = 0;
    switch (which) {
    case 0: {
        const fuzz::ExactString name(input->line());
        result = pf_pool_set_name(pool, name.get());
        EXPECT(has_started || (result == 0) == (strlen(name.get()) < 64));
        break;
    }
    case 1: {
        const fuzz::ExactString name(input->line());
        result = pf_pool_add_fd(pool, name.get(), any_int(input));
        EXPECT(is_one_of(result, {0, -EINVAL, -EBADF, -EEXIST, -EBUSY}));
        return;
    }
    case 2: {
        const int count = any_int(input);
        result = pf_pool_set_workers(pool, count > slots_max && count <= 65536 ? 1 : count);
        break;
    }
    case 3:
        result = pf_pool_set_restart_window(pool, any_int(input), any_duration(input));
        break;
    case 4:
        result = pf_pool_set_backoff(pool, any_duration(input), any_duration(input));
        break;
    case 5:
        result = pf_pool_set_stop(pool, any_int(input), any_duration(input));
        break;
    case 6: {
        const int code = any_int(input);
        const int action = any_int(input);
        const bool is_valid =
            code >= 0 && code <= 255 && action >= PF_EXIT_DEFAULT && action <= PF_EXIT_FATAL;
        result = pf_pool_set_exit_action(pool, code, action);
        EXPECT(has_started || (result == 0) == is_valid);
        break;
    }
    case 7:
        result = pf_pool_set_lifetime(pool, any_duration(input), any_duration(input));
        break;
    case 8:
        result = pf_pool_set_ready_timeout(pool, any_duration(input));
        break;
    case 9:
        result = pf_pool_set_min_uptime(pool, any_duration(input));
        break;
    case 10:
        result = pf_pool_set_heartbeat_timeout(pool, any_duration(input));
        break;
    case 11:
        given += 1;
        result = pf_pool_set_event_callback(pool, input->below(2) == 0 ? on_event : nullptr, &freed,
                                            free_user);
        break;
    default:
        result = set_number(pool, which, any_int(input));
        break;
    }
    EXPECT(is_one_of(result, {0, -EINVAL, -EBUSY, -ENOTSUP}));
    EXPECT(!has_started || result != 0);
}

void look_at_events(pf_pool *pool) {
    const pf_event *event = nullptr;
    for (int count = 0; pf_pool_next_event(pool, &event) == 1; count++) {
        EXPECT(count < 100 * slots_max && event != nullptr);
        on_event(event, nullptr);
        EXPECT(pf_event_level(event) >= 0 && pf_event_level(event) <= 7);
        EXPECT(pf_event_task_id(event) >= -1);
    }
}

// The host is asked for a worker and cannot make it, or gives the number of a child that it has
// not.
void fork_one(pf_pool *pool, fuzz::Input *input) {
    const int task_id = any_int(input);
    if (pf_pool_fork_prepare(pool, task_id) == 0) {
        const int32_t pid = input->below(2) == 0 ? -EAGAIN : 0x3fffffff;
        EXPECT(pf_pool_fork_parent(pool, task_id, pid) <= 0);
    }
}

// A call while the pool runs, or before, or after.
void request(pf_pool *pool, fuzz::Input *input) {
    switch (input->below(14)) {
    case 0:
        EXPECT(is_one_of(pf_pool_stop(pool), {0, -EINVAL}));
        break;
    case 1:
        EXPECT(is_one_of(pf_pool_kill(pool), {0, -EINVAL}));
        break;
    case 2:
        EXPECT(is_one_of(pf_pool_wake(pool), {0, -EINVAL}));
        break;
    case 3:
        EXPECT(is_one_of(pf_pool_reload(pool), {0, -EINVAL}));
        break;
    case 4:
        EXPECT(is_one_of(pf_pool_handle_signal(pool, any_int(input)), {0, -EINVAL}));
        break;
    case 5: {
        const int count = any_int(input);
        (void)pf_pool_resize(pool, count > slots_max && count <= 65536 ? 3 : count);
        break;
    }
    case 6:
        (void)pf_pool_replace_worker(pool, any_int(input));
        break;
    case 7:
        (void)pf_pool_stop_worker(pool, any_int(input));
        break;
    case 8:
        (void)pf_pool_send_signal(pool, any_int(input), any_int(input));
        break;
    case 9:
        (void)pf_pool_worker_pid(pool, any_int(input));
        (void)pf_pool_worker_uptime_ms(pool, any_int(input));
        break;
    case 10:
        (void)pf_pool_worker_state(pool, any_int(input));
        (void)pf_pool_counter(pool, any_int(input));
        break;
    case 11:
        fork_one(pool, input);
        break;
    case 12:
        look_at_events(pool);
        break;
    default:
        EXPECT(pf_pool_dispatch(pool, 0) <= 1);
        break;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::Input input(data, size);
    const int before = fuzz::lowest_free_descriptor();
    pf_pool *pool = nullptr;
    sigset_t mask;
    freed = 0;
    given = 0;
    EXPECT(pf_pool_new(&pool) == 0);
    for (uint32_t count = input.below(24); count > 0; count--) {
        set(pool, &input, false);
    }
    const bool host_forks = pf_pool_set_host_fork(pool, 1) == 0;
    const bool has_started = host_forks && pf_pool_start(pool) == 0;
    EXPECT(!has_started || pf_pool_fd(pool) >= 0);
    while (!input.is_empty()) {
        if (input.below(16) == 0) {
            set(pool, &input, has_started);
        } else {
            request(pool, &input);
        }
    }
    EXPECT(pf_pool_free(pool) == nullptr);
    EXPECT(freed == given);
    EXPECT(pthread_sigmask(SIG_SETMASK, nullptr, &mask) == 0 && sigismember(&mask, SIGTERM) == 0);
    EXPECT(fuzz::lowest_free_descriptor() == before);
    return 0;
}
