# server.nim - workers that share a socket, in Nim: prefork.h by importc
#
# Tried with Nim 1.6:
#
#   nim compile -d:release -d:noSignalHandler \
#       --passC:"$(pkg-config --cflags prefork)" --passL:"$(pkg-config --libs prefork)" server.nim
#   ./server [PORT]
#
# noSignalHandler: otherwise Nim handles INT, which then does not control the pool. Nim starts no
# threads by itself, so the library forks. A worker greets who connects, with its pid and task id.
# TERM stops the workers, HUP replaces them.
#
# SPDX-License-Identifier: MIT
import std/[os, posix, strutils]

const workers = 2

type
  Pool {.importc: "pf_pool", header: "<prefork.h>", incompleteStruct.} = object
  WorkerFn = proc (taskId: cint, user: pointer): cint {.cdecl.}
  FreeFn = proc (user: pointer) {.cdecl.}

let PF_SIGNALS_STANDARD {.importc, header: "<prefork.h>".}: cint

{.push importc, header: "<prefork.h>".}
proc pf_strerror(error: cint): cstring
proc pf_bind_sockets(host: cstring, port, family, backlog: cint, flags: uint32, fds: ptr cint,
                     max: cint): cint
proc pf_accept(fd: cint): cint
proc pf_pool_new(pool: ptr ptr Pool): cint
proc pf_pool_free(pool: ptr Pool): ptr Pool {.discardable.}
proc pf_pool_set_workers(pool: ptr Pool, count: cint): cint
proc pf_pool_set_worker_fn(pool: ptr Pool, fn: WorkerFn, user: pointer, freeUser: FreeFn): cint
proc pf_pool_set_ready_timeout(pool: ptr Pool, timeoutMs: uint64): cint
proc pf_pool_set_stop(pool: ptr Pool, signal: cint, timeoutMs: uint64): cint
proc pf_pool_set_signals(pool: ptr Pool, set: cint): cint
proc pf_pool_run(pool: ptr Pool, taskId: ptr cint): cint
proc pf_pool_stop_signal(pool: ptr Pool): cint
proc pf_die_of_signal(signal: cint): cint {.discardable.}
proc pf_worker_ready(): cint {.discardable.}
proc pf_worker_stop_fd(): cint
{.pop.}

proc greet(connection: cint, text: string) =
  discard write(connection, text.cstring, text.len)
  discard close(connection)

# A callback of C: no exception leaves it. Its result is the exit status.
proc serve(taskId: cint, user: pointer): cint {.cdecl, raises: [].} =
  let listener = cast[ptr cint](user)[]
  let text = "hello from pid " & $getpid() & ", task " & $taskId & "\n"
  var places = [TPollfd(fd: pf_worker_stop_fd(), events: POLLIN),
                TPollfd(fd: listener, events: POLLIN)]
  pf_worker_ready()
  while true:
    if poll(addr places[0], Tnfds(places.len), -1) <= 0:
      continue
    if places[0].revents != 0:
      return 0 # the worker must stop
    let connection = pf_accept(listener)
    if connection >= 0: # otherwise another worker was faster
      greet(connection, text)

proc check(code: cint) =
  if code < 0:
    quit("server: " & $pf_strerror(code), 1)

proc main() =
  let port = if paramCount() > 0: parseInt(paramStr(1)) else: 8090
  var listener, taskId: cint
  var pool: ptr Pool
  check pf_bind_sockets("127.0.0.1", cint(port), AF_INET, 0, 0, addr listener, 1)
  check pf_pool_new(addr pool)
  check pf_pool_set_workers(pool, workers)
  check pf_pool_set_worker_fn(pool, serve, addr listener, nil)
  check pf_pool_set_ready_timeout(pool, 10_000)
  check pf_pool_set_stop(pool, 0, 10_000) # the descriptor says when to stop
  check pf_pool_set_signals(pool, PF_SIGNALS_STANDARD)
  check pf_pool_run(pool, addr taskId)
  let signal = pf_pool_stop_signal(pool)
  pf_pool_free(pool)
  if signal != 0:
    pf_die_of_signal(signal)

main()
