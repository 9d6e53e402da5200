# SPDX-License-Identifier: MIT
"""What a fork does to Python's runtime, and what this package spares its workers."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import prefork
import pytest
from prefork import EventType, Pool

from conftest import open_descriptors
from support import DEADLINE

FORK = """
import os, prefork, signal, sys, threading, time
{before}
task = prefork.fork_processes({workers}, 0{more})
{after}
"""


def forks(run, before, after, workers=2, more="", warnings="error"):
    code = FORK.format(before=before, after=after, workers=workers, more=more)
    return run(["-W", warnings, "-c", code])


def test_buffered_output_is_written_once(run):
    program = forks(
        run,
        'sys.stdout.write("once\\n"); sys.stderr.reconfigure(line_buffering=False)\n'
        'sys.stderr.write("once\\n")',
        "",
    )
    program.end(0)
    assert (program.out, program.err) == ("once\n", "once\n")


def test_what_is_buffered_for_a_file_is_written_once(run, tmp_path):
    path = tmp_path / "file"
    before = f'file = open({str(path)!r}, "a"); file.write("once\\n")'
    forks(run, before, 'file.write("worker\\n")').end(0)
    assert sorted(path.read_text().split()) == ["once", "worker", "worker"]


def test_output_of_workers_is_not_lost():
    reader, writer = os.pipe()

    def work(task_id):
        os.dup2(writer, 1)
        sys.stdout = open(1, "w", closefd=False)
        sys.stdout.write("buffered")  # what ends the worker has to flush it

    with Pool(work, 1) as pool:
        list(pool)
    os.close(writer)
    with open(reader) as output:
        assert output.read() == "buffered"


def test_a_worker_with_many_descriptors_drains(run):
    program = run(
        """
import os, prefork, resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
open_files = [os.dup(0) for _ in range(1100)]
def work(task_id):
    prefork.ready()
    prefork.Drain(0).wait_in_thread()
    print("drained", prefork.stop_fd() > 1023, flush=True)
with prefork.Pool(work, 1, stop_signal=0, ready_timeout=60) as pool:
    for event in pool:
        if event.type == prefork.EventType.READY:
            pool.stop()
"""
    )
    program.end(0)
    assert program.lines() == ["drained True"], program.err


def test_handlers_of_register_at_fork_are_run(run):
    program = forks(
        run,
        "for name in 'before', 'after_in_parent', 'after_in_child':\n"
        "    os.register_at_fork(**{name: lambda name=name: print(name, flush=True)})",
        "",
    )
    program.end(0)
    assert sorted(program.lines()) == 2 * ["after_in_child"] + 2 * ["after_in_parent"] + 2 * [
        "before"
    ]


def test_random_is_reseeded(run):
    program = forks(
        run, "import random; random.seed(7)", "print(random.random(), flush=True)", workers=4
    )
    program.end(0)
    assert len(set(program.lines())) == 4


BUSY = """
end = threading.Event()
def spin():
    while not end.is_set():
        sum(range(100))
thread = threading.Thread(target=spin)
thread.start()
"""


def test_workers_beside_a_busy_thread_do_not_hang(run):
    # The children of a fork without the interpreter lock all do; sys.exit() would then wait
    # for a thread that is not there.
    program = forks(
        run,
        BUSY,
        "print('worker', [thread.name for thread in threading.enumerate()], flush=True)\n"
        "sys.exit(0)",
        workers=20,
        more=", allow_threads=True",
        warnings="ignore::DeprecationWarning",
    )
    program.wait_for("worker", 20)
    assert program.lines("worker") == 20 * ["worker ['MainThread']"]
    program.signal(signal.SIGKILL)  # the supervisor waits for its own thread
    program.end(-signal.SIGKILL)


def test_a_lock_of_logging_does_not_hang_workers(run):
    program = forks(
        run,
        "import logging\n"
        "handler = logging.StreamHandler(sys.stdout)\n"
        "logging.getLogger('user').addHandler(handler)\n"
        "held, end = threading.Event(), threading.Event()\n"
        "def hold():\n"
        "    with handler.lock:\n"
        "        held.set()\n"
        "        end.wait()\n"
        "threading.Thread(target=hold, daemon=True).start()\n"
        "held.wait()",
        "logging.getLogger('user').warning('logged'); time.sleep(600)",
        more=", allow_threads=True",
        warnings="ignore::DeprecationWarning",
    )
    program.wait_for("logged", 2)
    program.signal(signal.SIGKILL)  # at its end the supervisor would wait for that lock
    program.end(-signal.SIGKILL)


def test_the_thread_that_forks_is_the_workers_main_thread(run):
    program = run(
        [
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            """
import prefork, signal, threading
def work(task):
    assert threading.current_thread() is threading.main_thread()
    signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
    signal.raise_signal(signal.SIGUSR1)
def supervise():
    with prefork.Pool(work, 2, allow_threads=True, parent_death_signal=0) as pool:
        for event in pool:
            assert event.exit_code in (None, 0)
thread = threading.Thread(target=supervise)
thread.start()
thread.join()
""",
        ]
    )
    program.end(0)
    assert program.lines() == ["handled", "handled"], program.err


def test_a_running_loop_is_refused(run):
    program = run(
        """
import asyncio, prefork
async def main():
    prefork.fork_processes(1)
try:
    asyncio.run(main())
except RuntimeError as error:
    print(error, flush=True)
"""
    )
    program.end(0)
    assert program.lines() == [
        "fork_processes() was called while an asyncio event loop is running"
    ]


def test_signals_of_the_host_are_the_workers():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    handler = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        mine = signal.getsignal(signal.SIGUSR1)

        def work(task_id):
            assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR2}
            assert signal.getsignal(signal.SIGUSR1) is mine
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
            assert signal.set_wakeup_fd(-1) == -1
            assert threading.active_count() == 1
            return 0

        with Pool(work, 1, signals=prefork.Signals.STOP_ONLY) as pool:
            exits = [event.exit_code for event in pool if event.type == EventType.EXITED]
        assert exits == [0]
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR2}
    finally:
        signal.signal(signal.SIGUSR1, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])


def test_a_worker_has_but_two_pipes_of_the_library(tmp_path):
    # One to its supervisor and one from it.
    supervisors = open_descriptors()

    def work(task_id):
        mine = {fd: name for fd, name in open_descriptors().items() if fd not in supervisors}
        (tmp_path / "mine").write_text(" ".join(mine.values()))

    with Pool(work, 1) as pool:
        assert [event.exit_code for event in pool if event.type == EventType.EXITED] == [0]
    names = (tmp_path / "mine").read_text().split()
    assert len(names) == 2 and all(name.startswith("pipe:") for name in names)


def test_the_hosts_wakeup_descriptor_still_hears_of_signals():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        handler = signal.signal(signal.SIGUSR1, lambda *_: pool.stop())
        signal.set_wakeup_fd(theirs.fileno())
        try:
            supervisor = os.getpid()

            def work(task_id):
                os.kill(supervisor, signal.SIGUSR1)
                while True:
                    signal.pause()

            with Pool(work, 1) as pool:
                list(pool)
            assert ours.recv(16) == bytes([signal.SIGUSR1])
            assert signal.set_wakeup_fd(-1) == theirs.fileno()
        finally:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGUSR1, handler)


@pytest.mark.parametrize(
    "ending, status",
    [
        ("return 3", 3),
        ("return None", 0),
        ("sys.exit()", 0),
        ("sys.exit(4)", 4),
        ("sys.exit(256)", 0),
        ("sys.exit('text')", 1),
        ("raise ValueError('text')", 1),
    ],
)
def test_ends_of_a_workers_function(run, ending, status):
    program = run(
        f"""
import prefork, sys
def work(task):
    {ending}
try:
    with prefork.Pool(work, 1, restart_policy=prefork.RestartPolicy.NEVER) as pool:
        print([event.exit_code for event in pool if event.type == prefork.EventType.EXITED])
finally:
    print("finally")
"""
    )
    program.end(0)
    assert program.lines() == [f"[{status}]", "finally"]
    assert ("text" in program.err) == ("text" in ending)


def test_an_exception_of_a_signal_handler_stops_all(run):
    program = run(
        """
import os, prefork, signal, sys, time
def handler(*_):
    raise ValueError("from the handler")
signal.signal(signal.SIGUSR1, handler)
print("task", prefork.fork_processes(2), flush=True)
time.sleep(600)
"""
    )
    program.wait_for("task", 2)
    program.signal(signal.SIGUSR1)
    program.end(1)
    assert "from the handler" in program.err


def test_a_pool_goes_on_after_an_exception_in_the_wait():
    def handler(*_):
        raise InterruptedError("once")

    old = signal.signal(signal.SIGUSR1, handler)
    supervisor = os.getpid()

    def work(task_id):
        os.kill(supervisor, signal.SIGUSR1)
        signal.pause()

    try:
        with Pool(work, 1) as pool:
            with pytest.raises(InterruptedError):
                list(pool)
            pool.kill()
            assert list(pool)[-1].type == EventType.DONE
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_an_exception_just_before_a_fork_leaves_no_answer_owed(monkeypatch):
    def interrupt():
        monkeypatch.undo()
        raise KeyboardInterrupt

    with Pool(lambda _: 0, 1) as pool:
        monkeypatch.setattr(pool, "_before_fork", interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(pool)
        events = list(pool)  # begun again
    assert [event.exit_code for event in events if event.type == EventType.EXITED] == [0]

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        with Pool(lambda _: 0, 1) as pool:
            monkeypatch.setattr(pool, "_before_fork", interrupt)
            list(pool)
    assert time.monotonic() - begun < 9  # the library waits for 10 seconds


def test_a_fork_that_fails_is_tried_again(monkeypatch):
    failures = [BlockingIOError(11, "no process"), BlockingIOError(11, "no process")]
    fork = os.fork

    def fails_at_first():
        if failures:
            raise failures.pop()
        return fork()

    monkeypatch.setattr(os, "fork", fails_at_first)
    with Pool(lambda _: 0, 2) as pool:
        events = list(pool)
    types = [event.type for event in events]
    assert types.count(EventType.EXITED) == 2 and EventType.START_FAILED in types
    assert events[-1].restarts == 0


def test_a_signal_that_the_program_handles_is_told_and_logged(caplog):
    handler = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        caplog.set_level("INFO", "prefork")
        Pool(lambda _: 0, 1, signals=prefork.Signals.STANDARD).run()
    finally:
        signal.signal(signal.SIGUSR1, handler)
    told = [record for record in caplog.records if record.event.type == 16]
    assert signal.SIGUSR1 in [record.event.signal for record in told]
    assert {(record.event.level, record.levelname) for record in told} == {(5, "INFO")}


def test_a_later_type_of_event_is_passed_on():
    later = EventType(4711)
    assert later == 4711 and later.name == "UNKNOWN_4711"
    with pytest.raises(ValueError):
        EventType("text")


def test_a_pool_that_is_dropped_is_ended():
    pool = Pool(lambda _: signal.pause(), 1)
    pool.start()
    assert next(pool).type == EventType.STARTING
    assert next(pool).type == EventType.STARTED
    with pytest.warns(ResourceWarning, match="unclosed pool"):
        pool.__del__()


NOTIFY = """
import os, prefork, signal

def work(task_id):
    print("worker", os.environ.get("NOTIFY_SOCKET"), os.system("test -z \\"$NOTIFY_SOCKET\\""), flush=True)
    signal.pause()

with prefork.Pool(work, 2, signals=prefork.Signals.STANDARD, manager_notify=True) as pool:
    list(pool)
"""


def test_the_service_manager_is_told(run, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE)
        program = run(["-c", NOTIFY], NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="2000000")

        def await_message(message):
            while manager.recv(4096) != message:
                pass

        await_message(b"READY=1")
        await_message(b"WATCHDOG=1")
        assert program.wait_for("worker", 2) == ["worker None 0"] * 2
        program.signal(signal.SIGTERM)
        await_message(b"STOPPING=1")
        program.end(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_dies_of_the_signal_that_stopped_its_pool(run, number):
    program = run(
        """
import atexit, os, prefork, signal, sys
def work(task):
    os.kill(os.getppid(), int(sys.argv[1]))
    signal.pause()
atexit.register(print, "atexit")
signal.signal(signal.SIGINT, signal.SIG_DFL)
pool = prefork.Pool(work, 1, signals=prefork.Signals.STOP_ONLY)
pool.run()
signal.signal(signal.SIGTERM, lambda *_: print("a handler"))
print("stopped by", pool.stopped_by)
prefork.die_of_signal(pool.stopped_by)
""",
        int(number),
    )
    program.end(-number)
    assert program.lines() == [f"stopped by {int(number)}"]
    with pytest.raises(ValueError):
        prefork.die_of_signal(signal.SIGCHLD)


def test_pid_one_stops_and_reaps(run):
    # No default action of a signal ends PID 1, and orphans become its children.
    inner = """
import os, prefork, signal, time
task = prefork.fork_processes(1)
assert os.getppid() == 1

def orphan():
    reader, writer = os.pipe()
    if os.fork() == 0:
        pid = os.fork()
        if pid:
            os.write(writer, str(pid).encode())
        os._exit(0)
    os.wait()
    return os.read(reader, 16).decode()

def is_reaped(pid):
    end = time.monotonic() + 1
    while os.path.exists("/proc/" + pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not os.path.exists("/proc/" + pid)

# One that comes just when the supervisor is not waiting is taken for a child of its own.
assert any(is_reaped(orphan()) for _ in range(60))
print("reaped", flush=True)
os.kill(1, signal.SIGTERM)
signal.pause()
"""
    mount = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no namespaces of process ids here")
    outer = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    program = run(["-c", outer, *mount[:-1], sys.executable, "-c", inner])
    program.end(128 + signal.SIGTERM)
    assert program.lines() == ["reaped"]
