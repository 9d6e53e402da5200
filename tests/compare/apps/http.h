// A small HTTP server for the entries in C, and what the comparison asks of each entry.
//
// SPDX-License-Identifier: MIT
#ifndef COMPARE_HTTP_H
#define COMPARE_HTTP_H

// The value of an environment variable, or 0.
int number_of(const char *name);

// Listens on 127.0.0.1, at the port PORT of the environment.
int listen_on_port(void);

// What the supervisor does before its workers: BALLAST_MIB and FOREIGN.
void prepare_supervisor(void);

// What a worker does before it serves: FAIL and START_MS.
void prepare_worker(void);

// Serves until STOP_FD becomes readable, finishes the requests under way, and returns.
void serve(int listener, int stop_fd, int task);

#endif
