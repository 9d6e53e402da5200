// A C++ program of somebody else: knows the installed header and library alone.
//
// SPDX-License-Identifier: MIT
#include <cstdio>
#include <prefork.h>

namespace {

struct Seen {
    int started = 0;
};

void count(const pf_event *event, void *user) {
    if (pf_event_type(event) == PF_EVENT_STARTED) {
        static_cast<Seen *>(user)->started += 1;
    }
}

} // namespace

int main() {
    Seen seen;
    pf_set_event_callback(count, &seen);
    const int task_id = pf_fork_processes(2, 0);
    if (task_id < 0) {
        std::fprintf(stderr, "consumer: %s\n", pf_strerror(task_id));
        return 1;
    }
    return std::printf("worker %d\n", task_id) > 0 ? 0 : 1;
}
