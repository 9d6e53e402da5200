/*
 * upgrader.c - the server of tests/programs/upgrader.c, started and upgraded by tests
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "upgrader.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "executed.h"

enum { ARGUMENTS_MAX = 16, OPTION_SIZE = 4200 };
#define HEARTBEAT_MS (time_scale() * 1000U)

pid_t serve(const char *const *options) {
    const char *arguments[ARGUMENTS_MAX] = {"./server", "0"};
    int count = 2;

    if (access("server", F_OK) != 0) {
        copy_program(program_path("upgrader"), "server");
    }
    while (*options != NULL) {
        arguments[count++] = *options++;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L);
        (void)setenv("LD_LIBRARY_PATH", library_directory(), 1);
        execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(93);
    }
    assert_true(pid > 0);
    return pid;
}

const char *const *beating_options(void) {
    static char service[OPTION_SIZE];
    static char ready[32];
    static char heartbeat[32];
    static const char *const options[] = {"workers=2", "way=foreign", service, ready,
                                          heartbeat,   "second=beat", NULL};

    (void)snprintf(service, sizeof(service), "service=%s", program_path("service"));
    (void)snprintf(ready, sizeof(ready), "ready_ms=%u", PATIENCE_MS);
    (void)snprintf(heartbeat, sizeof(heartbeat), "heartbeat_ms=%u", HEARTBEAT_MS);
    return options;
}

void assert_beats_arrive(void) {
    pause_ms(HEARTBEAT_MS / 2 * 3);
    assert_int_equal(report_count("unresponsive"), 0);
}

void set_next(const char *text) {
    make_file("next.new", text, 0600);
    assert_int_equal(rename("next.new", "next"), 0);
}

void upgrade(pid_t server) { assert_int_equal(kill(server, SIGUSR1), 0); }

int server_end(pid_t server) {
    int status = -1;
    uint64_t end = now_ms() + PATIENCE_MS;
    pid_t ended = 0;

    while (ended == 0 && now_ms() < end) {
        ended = waitpid(server, &status, WNOHANG);
        pause_ms(1);
    }
    if (ended == 0) {
        (void)kill(server, SIGKILL);
        (void)waitpid(server, &status, 0);
    }
    assert_int_equal(ended, server);
    return status;
}

void assert_all_end(void) { assert_true(reap_all() >= 0); }

void assert_reaches(const char *text, unsigned count) {
    if (!report_reaches(text, count)) {
        print_error("\"%s\" was not reported %u times:\n%s", text, count, report_text());
        fail();
    }
}

void stops(pid_t server) {
    assert_int_equal(kill(server, SIGTERM), 0);
    assert_int_equal(server_end(server), 0);
    assert_all_end();
}

pid_t worker_of(unsigned generation, unsigned nth) {
    return (pid_t)report_number(text_of("generation %u started slot %u pid ", generation, nth), 0);
}

int request_from(int port, pid_t *ret_worker) {
    char line[64] = "";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t length = 0;
    ssize_t count = 1;
    int pid = 0;
    int generation = -1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        count = 0;
    }
    while (count > 0 && length < sizeof(line) - 1) {
        count = read(fd, line + length, sizeof(line) - 1 - length);
        length += count > 0 ? (size_t)count : 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    char *end = NULL;
    pid = (int)strtol(line, &end, 10);
    if (end != line && *end == ' ') {
        generation = (int)strtol(end, NULL, 10);
    }
    *ret_worker = pid;
    return generation;
}

int port_of(void) {
    assert_reaches("port ", 1);
    return (int)report_number("port ", 0);
}
