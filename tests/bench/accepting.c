/*
 * accepting.c - how connections spread over workers that share a listening socket
 *
 *   accepting [WORKERS [MILLISECONDS]]
 *
 * The same workers wait for connections in several ways. First all are idle and connections
 * come one at a time: how many workers wake up for each, and how many calls of pf_accept() find
 * nothing. Then all are busy: how many requests the luckiest worker gets for one of the
 * unluckiest. One process is the client of all; it answers for the load, and shares the
 * processors with the workers.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE

#include <prefork.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    WORKERS_MAX = 256,
    EVENTS_MAX = 64,
    IDLE_CONNECTIONS = 1000,
    SETTLE_US = 300,      /* from a worker's last word to its sleep */
    CLIENTS_A_WORKER = 4, /* requests under way: enough that no worker is idle for long */
    KEPT_A_WORKER = 8     /* connections that are kept */
};

/* How a worker waits for connections and takes them. */
struct way {
    const char *name;
    int exclusive; /* EPOLLEXCLUSIVE */
    int burst;     /* connections that it takes at a time */
    int requeue;   /* after so many connections it goes to the end of the socket's queue; 0: no */
    int reuseport; /* a listening socket for each worker */
    int kept;      /* the client keeps its connections */
};

static const struct way ways[] = {
    {"plain epoll, accept until EAGAIN", 0, 16, 0, 0, 0},
    {"EPOLLEXCLUSIVE, accept until EAGAIN", 1, 16, 0, 0, 0},
    {"EPOLLEXCLUSIVE, one accept", 1, 1, 0, 0, 0},
    {"the same, to the end after 16", 1, 1, 16, 0, 0},
    {"the same, to the end after each", 1, 1, 1, 0, 0},
    {"SO_REUSEPORT, one accept", 1, 1, 0, 1, 0},
    {"one accept, connections kept", 1, 1, 0, 0, 1},
    {"to the end after each, connections kept", 1, 1, 1, 0, 1},
    {"SO_REUSEPORT, connections kept", 1, 1, 0, 1, 1},
};

/* What a request costs a worker. */
struct cost {
    const char *name;
    unsigned compute_us;
    unsigned wait_us; /* for a disk or a database, with the loop standing still */
};

static const struct cost costs[] = {{"nothing", 0, 0},
                                    {"200 us of processor", 200, 0},
                                    {"1 ms of waiting", 0, 1000},
                                    {"20 us, and 1 ms of waiting", 20, 1000}};

/* Each worker's own cache lines, shared with the client. */
struct counts {
    unsigned long wakes;
    unsigned long accepted;
    unsigned long found_nothing;
    unsigned long requests;
    int idle; /* it is about to sleep */
} __attribute__((aligned(128)));

static struct counts *counts;
static const struct way *way;
static const struct cost *cost;
static int worker_count = 16;
static unsigned measured_ms = 2000;
static int port;
static int listeners[WORKERS_MAX];
static int listener_count;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- A worker --------------------------------------------------------------------------- */

static void watch(int epoll, int operation, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

static void work(void) {
    uint64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + cost->compute_us * UINT64_C(1000);
    while (cost->compute_us > 0 && now_ns(CLOCK_THREAD_CPUTIME_ID) < end) {
    }
    if (cost->wait_us > 0) {
        usleep(cost->wait_us);
    }
}

static void take_connections(int epoll, int listener, struct counts *own) {
    uint32_t events = EPOLLIN | (way->exclusive ? EPOLLEXCLUSIVE : 0);
    for (int i = 0; i < way->burst; i++) {
        int connection = pf_accept(listener);
        if (connection == -EAGAIN) {
            own->found_nothing++;
            return;
        }
        if (connection < 0) {
            fprintf(stderr, "accepting: %s\n", pf_strerror(connection));
            _exit(1);
        }
        own->accepted++;
        watch(epoll, EPOLL_CTL_ADD, connection, EPOLLIN);
        if (way->requeue > 0 && own->accepted % (unsigned)way->requeue == 0) {
            watch(epoll, EPOLL_CTL_DEL, listener, 0);
            watch(epoll, EPOLL_CTL_ADD, listener, events);
        }
    }
}

static void answer(int connection, struct counts *own) {
    char byte;
    if (read(connection, &byte, 1) == 1) {
        work();
        own->requests++;
        if (write(connection, &byte, 1) == 1) {
            return;
        }
    }
    close(connection); /* the client has done so */
}

static int serve(int task_id, void *user) {
    struct epoll_event events[EVENTS_MAX];
    struct counts *own = &counts[task_id];
    int listener = listeners[way->reuseport ? task_id : 0];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    (void)user;
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN | (way->exclusive ? EPOLLEXCLUSIVE : 0));
    int count = 0;
    while (count >= 0) {
        __atomic_store_n(&own->idle, 1, __ATOMIC_RELEASE);
        count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        __atomic_store_n(&own->idle, 0, __ATOMIC_RELEASE);
        int new_ones = 0;
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                new_ones = 1;
                own->wakes++;
            } else {
                answer(events[i].data.fd, own);
            }
        }
        if (new_ones) {
            take_connections(epoll, listener, own);
        }
    }
    return 1;
}

/* ---- The client ------------------------------------------------------------------------- */

static int open_connection(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct linger reset = {1, 0}; /* no TIME_WAIT: there are only so many ports */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || write(fd, "x", 1) != 1) {
        fail("connection");
    }
    return fd;
}

static void wait_until_idle(void) {
    for (int i = 0; i < worker_count; i++) {
        while (!__atomic_load_n(&counts[i].idle, __ATOMIC_ACQUIRE)) {
            usleep(SETTLE_US);
        }
    }
    usleep(SETTLE_US);
}

static void load_idle_workers(void) {
    char byte;
    for (int i = 0; i < IDLE_CONNECTIONS; i++) {
        wait_until_idle();
        int fd = open_connection();
        if (read(fd, &byte, 1) != 1) {
            fail("answer");
        }
        close(fd);
    }
    wait_until_idle();
}

static void load_busy_workers(void) {
    static struct epoll_event events[EVENTS_MAX];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int clients = worker_count * (way->kept ? KEPT_A_WORKER : CLIENTS_A_WORKER);
    for (int i = 0; i < clients; i++) {
        watch(epoll, EPOLL_CTL_ADD, open_connection(), EPOLLIN);
    }
    uint64_t end = now_ns(CLOCK_MONOTONIC) + measured_ms * UINT64_C(1000000);
    while (now_ns(CLOCK_MONOTONIC) < end) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, 1000);
        for (int i = 0; i < count; i++) {
            char byte;
            int fd = events[i].data.fd;
            if (read(fd, &byte, 1) != 1 || (way->kept && write(fd, &byte, 1) != 1)) {
                fail("answer");
            }
            if (!way->kept) {
                close(fd);
                watch(epoll, EPOLL_CTL_ADD, open_connection(), EPOLLIN);
            }
        }
    }
    close(epoll);
}

/* ---- One measurement -------------------------------------------------------------------- */

static void bind_listeners(void) {
    uint32_t flags = way->reuseport ? PF_BIND_REUSEPORT : 0;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    port = 0;
    listener_count = way->reuseport ? worker_count : 1;
    for (int i = 0; i < listener_count; i++) {
        int r = pf_bind_sockets("127.0.0.1", port, AF_INET, 1024, flags, &listeners[i], 1);
        if (r < 0 || getsockname(listeners[i], (struct sockaddr *)&address, &size) != 0) {
            fprintf(stderr, "accepting: %s\n", pf_strerror(r));
            exit(1);
        }
        port = ntohs(address.sin_port);
    }
}

static void ignore_event(const pf_event *event, void *user) {
    (void)event;
    (void)user;
}

/* Runs the workers for as long as the load lasts. */
static void measure(void (*load)(void)) {
    pf_pool *pool = NULL;
    memset(counts, 0, (size_t)worker_count * sizeof *counts);
    bind_listeners();
    if (pf_pool_new(&pool) != 0 || pf_pool_set_workers(pool, worker_count) != 0 ||
        pf_pool_set_worker_fn(pool, serve, NULL, NULL) != 0 ||
        pf_pool_set_event_callback(pool, ignore_event, NULL, NULL) != 0 ||
        pf_pool_start(pool) != 0 || pf_pool_dispatch(pool, 0) != 1) {
        fputs("accepting: no pool\n", stderr);
        exit(1);
    }
    wait_until_idle();
    load();
    pf_pool_kill(pool);
    while (pf_pool_dispatch(pool, -1) == 1) {
    }
    pf_pool_free(pool);
    for (int i = 0; i < listener_count; i++) {
        close(listeners[i]);
    }
    for (int fd = 3; fd < 8192; fd++) {
        close(fd); /* the client's ends; nothing else is open */
    }
}

static void report_idle(void) {
    unsigned long wakes = 0;
    unsigned long accepted = 0;
    unsigned long found_nothing = 0;
    int used = 0;
    measure(load_idle_workers);
    for (int i = 0; i < worker_count; i++) {
        wakes += counts[i].wakes;
        accepted += counts[i].accepted;
        found_nothing += counts[i].found_nothing;
        used += counts[i].accepted > 0;
    }
    printf("| %s | %.3f | %.3f | %d |\n", way->name, (double)wakes / (double)accepted,
           (double)found_nothing / (double)accepted, used);
}

static void report_busy(void) {
    unsigned long most = 0;
    unsigned long least = (unsigned long)-1;
    unsigned long all = 0;
    measure(load_busy_workers);
    for (int i = 0; i < worker_count; i++) {
        most = counts[i].requests > most ? counts[i].requests : most;
        least = counts[i].requests < least ? counts[i].requests : least;
        all += counts[i].requests;
    }
    printf("| %s | %s | %lu | %lu | %lu | ", cost->name, way->name, all * 1000 / measured_ms, most,
           least);
    if (least > 0) {
        printf("%.2f |\n", (double)most / (double)least);
    } else {
        puts("none for some |");
    }
}

int main(int argc, char **argv) {
    enum { WAYS = sizeof ways / sizeof *ways, COSTS = sizeof costs / sizeof *costs };
    worker_count = argc > 1 ? atoi(argv[1]) : worker_count;
    measured_ms = argc > 2 ? (unsigned)atoi(argv[2]) : measured_ms;
    if (worker_count < 1 || worker_count > WORKERS_MAX || measured_ms < 1) {
        fputs("usage: accepting [WORKERS [MILLISECONDS]]\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    counts = mmap(NULL, WORKERS_MAX * sizeof *counts, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) {
        fail("mmap");
    }
    cost = &costs[0];
    printf("%d idle workers, %d connections, one at a time\n\n", worker_count, IDLE_CONNECTIONS);
    puts("| way | woken a connection | EAGAIN a connection | workers used |\n|---|---|---|---|");
    for (way = ways; way < ways + WAYS; way++) {
        if (!way->kept) {
            report_idle();
        }
    }
    printf("\n%d busy workers, %u ms\n\n", worker_count, measured_ms);
    puts(
        "| a request costs | way | requests/s | most | least | ratio |\n|---|---|---|---|---|---|");
    for (cost = costs; cost < costs + COSTS; cost++) {
        for (way = ways; way < ways + WAYS; way++) {
            report_busy();
        }
    }
    return 0;
}
