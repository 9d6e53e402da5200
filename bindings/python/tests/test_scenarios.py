# SPDX-License-Identifier: MIT
"""The scenarios that the bindings of all languages run: see bindings/README.md."""

import errno
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time

import prefork
import pytest
from prefork import EventType, Pool, WorkerState

STAY = """
import os, prefork, signal
task = prefork.fork_processes(3)
print("worker", task, os.getpid(), flush=True)
while True:
    signal.pause()
"""


def stay(task_id):
    while True:
        signal.pause()


def events_until(pool, wanted, count=1):
    """Take events until so many of a type have come."""
    events = []
    while sum(event.type == wanted for event in events) < count:
        events.append(next(pool))
    return events


def test_task_ids(run):
    program = run(
        """
import os, prefork, sys
print("before", prefork.task_id(), flush=True)
task = prefork.fork_processes(4)
child = os.fork()
if child == 0:
    print("child", prefork.task_id(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("worker", task, prefork.task_id(), flush=True)
"""
    )
    program.end(0)
    assert program.lines("before") == ["before None"]
    assert sorted(program.lines("worker")) == [f"worker {n} {n}" for n in range(4)]
    assert sorted(program.lines("child")) == [f"child {n}" for n in range(4)]


def test_restart_with_the_same_id(run):
    program = run(STAY)
    workers = [line.split() for line in program.wait_for("worker", 3)]
    os.kill(int(next(pid for _, task, pid in workers if task == "1")), signal.SIGKILL)
    lines = program.wait_for("worker", 4)
    assert lines[3].split()[1] == "1"
    assert len({line.split()[2] for line in lines}) == 4
    program.signal(signal.SIGTERM)
    program.end(-signal.SIGTERM)


def test_clean_exit(run):
    program = run(
        """
import atexit, os, prefork, sys
supervisor = os.getpid()
atexit.register(lambda: print("atexit", os.getpid() == supervisor, flush=True))
try:
    prefork.fork_processes(2)
except SystemExit as exit:
    print("code", exit.code, flush=True)
    raise
"""
    )
    program.end(0)
    assert program.lines("code") == ["code 0"]
    assert sorted(program.lines("atexit")) == ["atexit False", "atexit False", "atexit True"]


def test_limit_gives_up(run):
    program = run(
        """
import os, prefork, signal, sys
try:
    task = prefork.fork_processes(2, 2)
except RuntimeError as error:
    print("error", error, flush=True)
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("nobody is left", flush=True)
    sys.exit(5)
print("worker", task, flush=True)
if task == 0:
    os._exit(7)
while True:
    signal.pause()
"""
    )
    program.end(5)
    assert program.lines("error") == ["error Too many child restarts, giving up"]
    assert program.lines("nobody") == ["nobody is left"]
    assert program.lines("worker").count("worker 0") == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_terminated_supervisor_leaves_nobody(run, number):
    program = run(STAY)
    program.wait_for("worker", 3)
    program.signal(number)
    program.end(-number)


def test_killed_supervisor_leaves_nobody(run):
    program = run(STAY)
    program.wait_for("worker", 3)
    program.signal(signal.SIGKILL)
    program.end(-signal.SIGKILL)


def test_event_order_and_fields():
    started = time.monotonic()
    runs = []

    def work(task_id):
        if task_id == 1 and not runs:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    events = []
    with Pool(work, 2, max_restarts=1) as pool:
        for event in pool:
            events.append(event)
            if event.type == EventType.EXITED and event.task_id == 1:
                runs.append(event)
    types = [event.type for event in events]
    assert types[:3] == [EventType.STARTING, EventType.STARTED, EventType.STARTED]
    assert [event.worker_count for event in events[:2]] == [2, 0]
    assert types[-1] == EventType.DONE
    assert sorted(types[3:-1]) == [EventType.STARTED] + 3 * [EventType.EXITED]
    assert [event.time for event in events] == sorted(event.time for event in events)
    assert started <= events[0].time <= events[-1].time <= time.monotonic()

    killed, normal = (event for event in events if event.type == EventType.EXITED
                      and event.task_id == 1)
    pids = [event.pid for event in events if event.type == EventType.STARTED
            and event.task_id == 1]
    assert [killed.pid, normal.pid] == pids
    assert (killed.signal, killed.exit_code, killed.will_restart) == (signal.SIGKILL, None, True)
    assert (killed.level, killed.restarts, killed.error) == (4, 1, 0)
    assert killed.message == f"child 1 (pid {killed.pid}) killed by signal 9, restarting"
    assert killed.uptime >= 0 and killed.delay == 0 and not killed.core_dumped
    assert (normal.signal, normal.exit_code, normal.will_restart) == (None, 0, False)
    assert normal.max_rss_kib > 0 and normal.user_time + normal.system_time > 0
    assert (events[0].task_id, events[0].pid) == (None, None)
    with pytest.raises(AttributeError):
        killed.pid = 0


def test_graceful_stop():
    def finish(task_id):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        prefork.ready()
        stay(task_id)

    with Pool(finish, 2, ready_timeout=60) as pool:
        events_until(pool, EventType.READY, 2)
        pool.stop()
        events = list(pool)
    assert events[0].type == EventType.STOPPING and events[-1].type == EventType.DONE
    assert [event.exit_code for event in events[1:-1]] == [0, 0]
    assert not any(event.will_restart for event in events)

    def ignore(task_id):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        prefork.ready()
        stay(task_id)

    with Pool(ignore, 1, ready_timeout=60, stop_timeout=0.05) as pool:
        events_until(pool, EventType.READY)
        pool.stop()
        types = [(event.type, event.signal) for event in pool]
    assert types == [
        (EventType.STOPPING, None),
        (EventType.KILLED, None),
        (EventType.EXITED, signal.SIGKILL),
        (EventType.DONE, None),
    ]


LOAD = """
import os, socket, sys
port, served, pids = int(sys.argv[1]), 0, set()
while not os.path.exists(sys.argv[2]):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"?")
        pid = connection.recv(16)
    assert pid, "a request was not answered"
    pids.add(pid)
    served += 1
    if served == 1:
        print("first", flush=True)
print("served", served, len(pids), flush=True)
"""


def answer_until_stopped(listener):
    """A worker that answers each connection with its pid, and finishes what it began."""
    listener.setblocking(False)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stop = prefork.stop_fd()
    prefork.ready()
    while stop not in select.select([listener, stop], [], [])[0]:
        try:
            connection = listener.accept()[0]
        except BlockingIOError:
            continue
        with connection:
            connection.setblocking(True)
            connection.recv(16)
            connection.sendall(str(os.getpid()).encode())


def test_rolling_reload(run, listener, tmp_path):
    end = tmp_path / "end"
    with Pool(lambda _: answer_until_stopped(listener), 2, ready_timeout=60) as pool:
        before = {event.pid for event in events_until(pool, EventType.READY, 2)
                  if event.type == EventType.READY}
        load = run(LOAD, listener.getsockname()[1], end)
        load.wait_for("first")
        pool.reload()
        events = events_until(pool, EventType.RELOADED)
        events += events_until(pool, EventType.EXITED, 2 - sum(
            event.type == EventType.EXITED for event in events))
        after = {worker.pid for worker in pool.workers()}
        end.touch()
        load.end(0)
    assert events[0].type == EventType.RELOADING
    exited = [event for event in events if event.type == EventType.EXITED]
    assert {event.pid for event in exited} == before
    assert [event.exit_code for event in exited] == [0, 0]
    assert len(after) == 2 and not before & after
    # A new worker is ready before its old one is gone.
    for task_id in range(2):
        mine = [event.type for event in events if event.task_id == task_id]
        assert mine == [EventType.STARTED, EventType.READY, EventType.EXITED]


def test_resize():
    with Pool(stay, 2) as pool:
        events_until(pool, EventType.STARTED, 2)
        pool.resize(4)
        events = events_until(pool, EventType.STARTED, 2)
        assert pool.worker_count == 4 and pool.alive_count == 4
        assert sorted(event.task_id for event in events
                      if event.type == EventType.STARTED) == [2, 3]
        pool.resize(1)
        gone = [event for event in events_until(pool, EventType.EXITED, 3)
                if event.type == EventType.EXITED]
        assert sorted(event.task_id for event in gone) == [1, 2, 3]
        assert pool.worker_count == 1 and pool.alive_count == 1
        with pytest.raises(prefork.InvalidArgumentError):
            pool.resize(0)


def test_pids_and_states():
    def work(task_id):
        if task_id == 1:
            return 0
        stay(task_id)

    with Pool(work, 2) as pool:
        started = [event for event in events_until(pool, EventType.EXITED)
                   if event.type == EventType.STARTED]
        stays, done = pool.workers()
        assert stays.pid == next(event.pid for event in started if event.task_id == 0)
        assert (stays.task_id, stays.state, stays.restarts) == (0, WorkerState.READY, 0)
        assert (done.task_id, done.state, done.pid) == (1, WorkerState.DONE, None)
        assert pool.alive_count == 1
        pool.send_signal(0, signal.SIGKILL)
        events_until(pool, EventType.STARTED)
        again = pool.worker(0)
        assert again.restarts == 1 and again.pid not in (None, stays.pid)
        pool.replace_worker(1)
        events_until(pool, EventType.STARTED)
        assert pool.workers()[1].pid is not None


def test_shared_listening_socket(run):
    program = run(
        """
import os, prefork, sys
listeners = prefork.bind_sockets(0, "127.0.0.1")
print("port", listeners[0].getsockname()[1], flush=True)
task = prefork.fork_processes(2)
listeners[0].setblocking(True)
connection = listeners[0].accept()[0]
connection.sendall(b"task %d" % task)
connection.recv(1)
"""
    )
    port = int(program.wait_for("port")[0].split()[1])
    # Each worker takes one, and waits: the second is served by the other worker.
    with socket.create_connection(("127.0.0.1", port)) as first:
        with socket.create_connection(("127.0.0.1", port)) as second:
            assert {first.recv(16), second.recv(16)} == {b"task 0", b"task 1"}
    program.end(0)


def test_errors_as_the_languages_own(run, tmp_path):
    for settings in (
        {"workers": 65537},
        {"max_restarts": 2**32},
        {"stop_timeout": -1},
        {"stop_timeout": float("nan")},
        {"stop_signal": 1000},
        {"backoff": (2, 1)},
        {"restart_policy": 7},
        {"name": "x" * 64},
        {"name": "a\0b"},
    ):
        with pytest.raises(ValueError) as caught:
            Pool(stay, **settings)
        assert caught.value.errno == errno.EINVAL
    with pytest.raises(TypeError):
        Pool(stay, "2")
    with Pool(stay, 1) as pool:
        events_until(pool, EventType.STARTED)
        with pytest.raises(ValueError):
            pool.worker(1)
        with pytest.raises(ValueError):
            pool.send_signal(-1, signal.SIGTERM)
        with pytest.raises(OSError) as caught:
            pool.start()
        assert caught.value.errno == errno.EALREADY
    with pytest.raises(ValueError, match="closed"):
        pool.stop()

    with pytest.raises(prefork.GaveUpError, match="Too many child restarts, giving up"):
        with Pool(lambda _: 1, 1, max_restarts=0) as pool:
            events_until(pool, EventType.DONE)
            next(pool)
    with pytest.raises(prefork.FatalExitError):
        Pool(lambda _: 9, 1, exit_actions={9: prefork.ExitAction.FATAL}).run()
    Pool(lambda _: 9, 1, max_restarts=0, exit_actions={9: prefork.ExitAction.DONE}).run()
    error = prefork.GaveUpError("text", -4097)
    assert isinstance(error, RuntimeError) and pickle.loads(pickle.dumps(error)).code == -4097

    for call in (prefork.ready, prefork.heartbeat, prefork.stop_fd):
        with pytest.raises(ChildProcessError):
            call()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError) as caught:
            prefork.bind_sockets(taken.getsockname()[1], "127.0.0.1")
    assert caught.value.errno == errno.EADDRINUSE
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        prefork.bind_unix_socket(tmp_path / "file")


def test_use_after_fork_refused(run):
    def work(task_id):
        for call in (pool.stop, pool.reload, pool.start, pool.workers, lambda: next(pool)):
            try:
                call()
            except ChildProcessError as error:
                assert error.errno == errno.ECHILD
            else:
                return 1
        return 0

    with Pool(work, 1) as pool:
        exits = [event.exit_code for event in pool if event.type == EventType.EXITED]
    assert exits == [0]

    with Pool(stay, 1) as pool:  # a child that is no worker
        events_until(pool, EventType.STARTED)
        child = os.fork()
        if child == 0:
            status = 8
            try:
                pool.stop()
            except ChildProcessError:
                pool.close()  # which leaves the workers alone as well
                status = 7
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 7 << 8
        assert pool.alive_count == 1

    program = run(
        """
import prefork
task = prefork.fork_processes(1)
try:
    prefork.fork_processes(2)
except RuntimeError as error:
    print("refused", error, flush=True)
"""
    )
    program.end(0)
    assert program.lines() == ["refused fork_processes() was called in a worker"]


CTRL_C = """
import os, prefork, sys, time
try:{wait}
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
    sys.exit(3)
"""
WAITS = {
    "fork_processes": """
    prefork.fork_processes(1)
    print("worker", flush=True)
    time.sleep(600)""",
    "pool": """
    def work(task):
        print("worker", flush=True)
        time.sleep(600)
    with prefork.Pool(work, 1) as pool:
        for event in pool:
            pass""",
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_within_100_ms(run, wait):
    took = []
    for _ in range(20):  # the best of some: the machine may be busy
        program = run(CTRL_C.format(wait=WAITS[wait]))
        program.wait_for("worker")
        began = time.monotonic()
        program.signal(signal.SIGINT)
        program.end(3)
        took.append(float(program.lines("interrupted")[0].split()[1]) - began)
        if took[-1] < 0.1:
            return
    raise AssertionError(f"Ctrl-C took {took}")


OLD = 'const char *pf_version(void) {{ return "{version}"; }}\n'


def test_library_missing_or_too_old(run, tmp_path):
    missing = run("import prefork", PREFORK_LIBRARY=str(tmp_path / "libprefork.so.0"))
    missing.end(1)
    assert "ImportError: prefork: the shared library libprefork was not found" in missing.err
    assert str(tmp_path / "libprefork.so.0") in missing.err
    assert "set PREFORK_LIBRARY to the path" in missing.err

    def library(source):
        path = tmp_path / f"{len(os.listdir(tmp_path))}.so"
        subprocess.run(
            ["cc", "-shared", "-o", path, "-x", "c", "-"], input=source, text=True, check=True
        )
        return str(path)

    for source, message in (
        (OLD.format(version="0.0.9"), "has version 0.0.9; libprefork 0.2.0 or later is needed"),
        (OLD.format(version="0.2.0"), "has version 0.2.0 and lacks pf_strerror; libprefork"),
        ("int other;", "is not libprefork"),
    ):
        program = run("import prefork", PREFORK_LIBRARY=library(source))
        program.end(1)
        assert message in program.err
