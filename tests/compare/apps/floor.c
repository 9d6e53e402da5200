// The entry floor: the least that can be called a supervisor. It forks, waits and forks anew, and
// ends its workers at TERM.
//
// SPDX-License-Identifier: MIT
#include "http.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 64 };

static volatile pid_t workers[WORKERS_MAX];
static int count;

static void stop(int number) {
    for (int task = 0; task < count; task++) {
        if (workers[task] > 0) {
            kill(workers[task], number);
        }
    }
    _exit(0);
}

int main(void) {
    const int listener = listen_on_port();
    count = number_of("WORKERS");
    prepare_supervisor();
    signal(SIGTERM, stop);
    for (int task = 0;;) {
        if (workers[task] == 0) {
            workers[task] = fork();
            if (workers[task] == 0) {
                signal(SIGTERM, SIG_DFL);
                prepare_worker();
                serve(listener, -1, task);
                _exit(0);
            }
        }
        if (task < count - 1 && workers[task + 1] == 0) {
            task++;
            continue;
        }
        const pid_t ended = wait(NULL);
        for (int i = 0; i < count; i++) {
            if (workers[i] == ended) {
                task = i;
                workers[i] = 0;
            }
        }
    }
}
