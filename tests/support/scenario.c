/*
 * scenario.c - one run of a host program in a process of its own
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "story.h"

/* The last net: a test that hangs all the same dies of SIGALRM. */
#define ALARM_S (PATIENCE_MS / 1000 * 4)

/* What the event callback of plan_run() needs. */
struct recorder {
    struct board *board;
    const struct plan *plan;
};

static struct descriptors descriptors_before;

bool scenario_open(struct scenario *scenario) {
    memset(scenario, 0, sizeof(*scenario));
    scenario->board = board_new();
    scenario->output = memfd_create("stderr", MFD_CLOEXEC);
    return scenario->board != NULL && scenario->output >= 0 &&
           fcntl(scenario->output, F_SETFL, O_APPEND) == 0;
}

/* What the address sanitizer says of the child of a vfork(), which runs on a stack that it does not
 * know, is no complaint. */
static bool is_complaint(const char *output) {
#if SANITIZED
    static const char *const harmless[] = {
        "WARNING: ASan is ignoring requested __asan_handle_no_return",
        "False positive error reports may follow",
        "For details see https://github.com/google/sanitizers/issues/189",
    };
    while (*output != '\0') {
        size_t length = strcspn(output, "\n");
        bool known = false;
        for (unsigned i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
            const char *found = strstr(output, harmless[i]);
            known = known || (found != NULL && (size_t)(found - output) < length);
        }
        if (!known) {
            return true;
        }
        output += length + (output[length] == '\n' ? 1 : 0);
    }
#endif
    return output[0] != '\0';
}

/* Says what was wrong. Returns whether nothing was. */
static bool judge(struct scenario *scenario) {
    const struct record *fault = board_find(scenario->board, KIND_FAULT, ANY_TASK, 0);
    char complaint[256] = "";

    if (fault != NULL) {
        (void)snprintf(complaint, sizeof(complaint), "outside the test: %s", fault->message);
    } else if (!scenario->output_taken && is_complaint(scenario_output(scenario))) {
        (void)snprintf(complaint, sizeof(complaint), "written to stderr: %.150s",
                       scenario_output(scenario));
    } else {
        (void)story_is_true(scenario->board, complaint, sizeof(complaint));
    }
    if (complaint[0] != '\0') {
        (void)fprintf(stderr, "%s\n%s", complaint, scenario_output(scenario));
    }
    return complaint[0] == '\0';
}

bool scenario_close(struct scenario *scenario) {
    bool good = true;

    if (scenario->board != NULL) {
        good = judge(scenario);
        if (!good) {
            board_print(scenario->board);
        }
        board_free(scenario->board);
    }
    if (scenario->output >= 0) {
        (void)close(scenario->output); /* what it held was looked at */
    }
    return good;
}

int scenario_setup(void **state) {
    static struct scenario scenario;

    (void)alarm(ALARM_S);
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, it would take the statuses from us */
    descriptors_take(&descriptors_before);
    *state = &scenario;
    /* The program that started us under an emulator without that call has done it for us. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) != 0 && getenv("ADOPTS_ORPHANS") == NULL) {
        return -1;
    }
    return scenario_open(&scenario) ? 0 : -1;
}

int scenario_teardown(void **state) {
    struct descriptors descriptors_after;
    bool good = true;

    if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD) {
        (void)fprintf(stderr, "processes are left, %d of them living\n", children_alive());
        kill_all_children();
        good = false;
    }
    good = scenario_close(*state) && good;
    descriptors_take(&descriptors_after);
    if (strcmp(descriptors_before.text, descriptors_after.text) != 0) {
        (void)fprintf(stderr, "descriptors before:\n%safter:\n%s", descriptors_before.text,
                      descriptors_after.text);
        good = false;
    }
    (void)alarm(0);
    return good ? 0 : -1;
}

/* A host is to have the defaults. CMocka handles some signals in the test process, and a shell
 * makes what it starts in the background ignore others. */
static void reset_signals(void) {
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number <= SIGRTMAX; number++) {
        (void)signal(number, SIG_DFL); /* fails for those that can only have the default */
    }
}

/* Returns true in the supervisor. */
static bool fork_supervisor(struct scenario *scenario) {
    pid_t test = getpid();

    (void)fflush(NULL); /* what is buffered would be written twice; no matter if it cannot be */
    pid_t pid = fork();
    if (pid != 0) {
        scenario->supervisor = pid;
        return false;
    }
    if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L) != 0 ||
        getppid() != test || dup2(scenario->output, STDERR_FILENO) < 0) {
        _exit(96);
    }
    reset_signals();
    return true;
}

void scenario_start_host(struct scenario *scenario, host_fn host) {
    if (fork_supervisor(scenario)) {
        exit(host(scenario->board));
    }
}

void scenario_start(struct scenario *scenario, const struct plan *plan) {
    if (fork_supervisor(scenario)) {
        exit(plan_run(scenario->board, plan));
    }
}

static void record_event(const pf_event *event, void *user) {
    const struct recorder *recorder = user;

    board_note_event(recorder->board, event);
    if (recorder->plan->on_event != NULL) {
        recorder->plan->on_event(recorder->board, event);
    }
}

int plan_run(struct board *board, const struct plan *plan) {
    struct recorder recorder = {.board = board, .plan = plan};

    if (plan->prepare != NULL) {
        plan->prepare(board);
    }
    pf_set_event_callback(record_event, &recorder);
    int result = pf_fork_processes(plan->workers, plan->max_restarts);
    if (result < 0) {
        board_note(board, KIND_RETURNED, result);
        if (plan->afterwards != NULL) {
            plan->afterwards(board, result);
        }
        return STATUS_RETURNED;
    }
    int run = board_note_worker(board, result);
    if (plan->work != NULL) {
        _exit(plan->work(board, result, run));
    }
    wait_for_ever();
    return STATUS_RETURNED;
}

static int leak_check_left_out;

void leave_out_leak_check(void) { leak_check_left_out = 1; }

#if SANITIZED
/* The leak checker asks this function, if there is one, at the end of the process. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return leak_check_left_out; }
#endif

void scenario_signal(const struct scenario *scenario, int signal) {
    if (scenario->supervisor > 0) {
        (void)kill(scenario->supervisor, signal); /* a zombie takes it too; it is reaped by us */
    }
}

int scenario_wait(struct scenario *scenario) {
    uint64_t deadline = now_ms() + PATIENCE_MS;
    int status = 0;

    if (scenario->supervisor <= 0) {
        return -1;
    }
    while (waitpid(scenario->supervisor, &status, WNOHANG) == 0) {
        if (now_ms() > deadline) {
            return -1;
        }
        pause_ms(1);
    }
    scenario->supervisor = 0;
    return status;
}

const char *scenario_output(struct scenario *scenario) {
    static char text[65536];
    ssize_t length = pread(scenario->output, text, sizeof(text) - 1, 0);

    text[length < 0 ? 0 : length] = '\0';
    return text;
}
