// server.zig - workers that share a socket, in Zig
//
// Tried with Zig 0.17:
//
//   zig build-exe -OReleaseSmall server.zig -lc $(pkg-config --libs prefork)
//   ./server [PORT]
//
// It declares what it uses. For all of the interface, `zig translate-c` makes a module of prefork.h.
// Zig has no threads of its own, so the library forks. A worker greets who connects, with its pid
// and task id. TERM stops the workers, HUP replaces them.
//
// SPDX-License-Identifier: MIT
const std = @import("std");

// Of prefork.h.
const pf = struct {
    const Pool = opaque {};
    const signals_standard: c_int = 1;

    extern fn pf_strerror(code: c_int) [*:0]const u8;
    extern fn pf_bind_sockets(host: [*:0]const u8, port: c_int, family: c_int, backlog: c_int, flags: u32, fds: [*]c_int, max: c_int) c_int;
    extern fn pf_accept(listener: c_int) c_int;
    extern fn pf_pool_new(pool: *?*Pool) c_int;
    extern fn pf_pool_set_workers(pool: ?*Pool, count: c_int) c_int;
    extern fn pf_pool_set_worker_fn(pool: ?*Pool, work: *const fn (c_int, ?*anyopaque) callconv(.c) c_int, user: ?*anyopaque, release: ?*const fn (?*anyopaque) callconv(.c) void) c_int;
    extern fn pf_pool_set_ready_timeout(pool: ?*Pool, ms: u64) c_int;
    extern fn pf_pool_set_stop(pool: ?*Pool, signal: c_int, ms: u64) c_int;
    extern fn pf_pool_set_signals(pool: ?*Pool, set: c_int) c_int;
    extern fn pf_pool_run(pool: ?*Pool, task_id: *c_int) c_int;
    extern fn pf_pool_stop_signal(pool: ?*const Pool) c_int;
    extern fn pf_pool_free(pool: ?*Pool) ?*Pool;
    extern fn pf_die_of_signal(signal: c_int) c_int;
    extern fn pf_worker_ready() c_int;
    extern fn pf_worker_stop_fd() c_int;
};

const workers = 2;
const greeting_max = 64;

// The worker function is a callback of C: no error leaves it, its result is the exit status.
fn serve(task_id: c_int, user: ?*anyopaque) callconv(.c) c_int {
    const listener: *const c_int = @ptrCast(@alignCast(user));
    var greeting: [greeting_max]u8 = undefined;
    const text = std.fmt.bufPrint(&greeting, "hello from pid {d}, task {d}\n", .{ std.c.getpid(), task_id }) catch return 1;
    var places = [_]std.c.pollfd{
        .{ .fd = pf.pf_worker_stop_fd(), .events = std.c.POLL.IN, .revents = 0 },
        .{ .fd = listener.*, .events = std.c.POLL.IN, .revents = 0 },
    };
    _ = pf.pf_worker_ready();
    while (true) {
        if (std.c.poll(&places, places.len, -1) <= 0) continue;
        if (places[0].revents != 0) return 0; // the worker must stop
        const connection = pf.pf_accept(listener.*);
        if (connection < 0) continue; // another worker was faster
        _ = std.c.write(connection, text.ptr, text.len);
        _ = std.c.close(connection);
    }
}

fn check(code: c_int) c_int {
    if (code >= 0) return code;
    std.debug.print("server: {s}\n", .{pf.pf_strerror(code)});
    std.c.exit(1);
}

pub fn main(init: std.process.Init.Minimal) void {
    var arguments = init.args.iterate();
    _ = arguments.skip();
    const port = std.fmt.parseInt(c_int, arguments.next() orelse "8090", 10) catch 8090;

    var listener: c_int = undefined;
    _ = check(pf.pf_bind_sockets("127.0.0.1", port, std.c.AF.INET, 0, 0, @ptrCast(&listener), 1));
    var pool: ?*pf.Pool = null;
    _ = check(pf.pf_pool_new(&pool));
    _ = check(pf.pf_pool_set_workers(pool, workers));
    _ = check(pf.pf_pool_set_worker_fn(pool, serve, &listener, null));
    _ = check(pf.pf_pool_set_ready_timeout(pool, 10_000));
    _ = check(pf.pf_pool_set_stop(pool, 0, 10_000)); // the descriptor says when to stop
    _ = check(pf.pf_pool_set_signals(pool, pf.signals_standard));

    var task_id: c_int = undefined;
    _ = check(pf.pf_pool_run(pool, &task_id));
    const signal = pf.pf_pool_stop_signal(pool);
    _ = pf.pf_pool_free(pool);
    if (signal != 0) _ = pf.pf_die_of_signal(signal);
}
