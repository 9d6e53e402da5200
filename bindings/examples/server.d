// server.d - workers that share a socket, in D: prefork.h by ImportC
//
// Tried with LDC 1.30:
//
//   echo '#include <prefork.h>' | cc -E -P -DPF_API= $(pkg-config --cflags prefork) - >prefork.c
//   ldc2 server.d prefork.c $(pkg-config --libs prefork | sed 's/-l/-L-l/; s/-L\//-L-L\//')
//   ./server [PORT]
//
// The file prefork.c is the module prefork. D starts no threads by itself, so the library forks. A
// worker greets who connects, with its pid and task id. TERM stops the workers, HUP replaces them.
// The collector of D uses USR1 and USR2: the pool reports that they do not reach the workers.
//
// SPDX-License-Identifier: MIT
import core.stdc.stdio : fprintf, snprintf, stderr;
import core.stdc.stdlib : atoi, exit;
import core.sys.posix.poll : poll, pollfd, POLLIN;
import core.sys.posix.sys.socket : AF_INET;
import core.sys.posix.unistd : close, getpid, write;
import prefork;

enum workers = 2;

// A callback of C: no exception may leave it. Its result is the exit status.
extern (C) int serve(int taskId, void* user)
{
    const listener = *cast(int*) user;
    char[64] text;
    const length = snprintf(text.ptr, text.length, "hello from pid %d, task %d\n", getpid(), taskId);
    pollfd[2] places = [pollfd(pf_worker_stop_fd(), POLLIN), pollfd(listener, POLLIN)];
    pf_worker_ready();
    while (true)
    {
        if (poll(places.ptr, places.length, -1) <= 0)
            continue;
        if (places[0].revents != 0)
            return 0; // the worker must stop
        const connection = pf_accept(listener);
        if (connection < 0)
            continue; // another worker was faster
        write(connection, text.ptr, length);
        close(connection);
    }
}

void check(int code)
{
    if (code < 0)
    {
        fprintf(stderr, "server: %s\n", pf_strerror(code));
        exit(1);
    }
}

void main(string[] arguments)
{
    import std.string : toStringz;

    const port = arguments.length > 1 ? atoi(arguments[1].toStringz) : 8090;
    int listener;
    check(pf_bind_sockets("127.0.0.1", port, AF_INET, 0, 0, &listener, 1));
    pf_pool* pool;
    check(pf_pool_new(&pool));
    check(pf_pool_set_workers(pool, workers));
    check(pf_pool_set_worker_fn(pool, &serve, &listener, null));
    check(pf_pool_set_ready_timeout(pool, 10_000));
    check(pf_pool_set_stop(pool, 0, 10_000)); // the descriptor says when to stop
    check(pf_pool_set_signals(pool, PF_SIGNALS_STANDARD));

    int taskId;
    check(pf_pool_run(pool, &taskId));
    const signal = pf_pool_stop_signal(pool);
    pf_pool_free(pool);
    if (signal != 0)
        pf_die_of_signal(signal);
}
