# SPDX-License-Identifier: MIT
"""Threads beside a fork: refused whenever a worker is forked, unless they are allowed."""

import subprocess
import sys

import pytest

START = """
import asyncio, ctypes, os, prefork, signal, socket, sys, threading, time
libc = ctypes.CDLL(None)
libc.pthread_join.argtypes = ctypes.c_ulong, ctypes.c_void_p
libc.pthread_cancel.argtypes = ctypes.c_ulong,
def native():
    "A thread that Python does not know."
    thread = ctypes.c_ulong()
    pause = ctypes.cast(libc.pause, ctypes.c_void_p)
    assert libc.pthread_create(ctypes.byref(thread), None, pause, None) == 0
    return thread
def end_native(thread):
    libc.pthread_cancel(thread)
    libc.pthread_join(thread, None)
    return None
end = threading.Event()
def other(name):
    thread = threading.Thread(target=end.wait, name=name)
    thread.start()
    return thread
def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return len(file.read().split())
def stay(task):
    print("worker", task, flush=True)
    signal.pause()
"""

# A pool whose worker is killed when there is another thread.
LATER = """
starts = told = 0
with prefork.Pool(stay, 1, max_restarts=1SETTINGS) as pool:
    for event in pool:
        if event.type == prefork.EventType.STARTED:
            starts += 1
            if starts == 1:
                thread = BEGIN
                os.kill(event.pid, signal.SIGKILL)
            else:
                pool.stop()
        elif event.type == prefork.EventType.START_FAILED:
            told += 1
            if told == 1:
                print("told", starts, children(), event.error, event.message, flush=True)
                END
print("starts", starts, "told" if told else "", flush=True)
END
"""


def later(begin, end, settings=""):
    code = LATER.replace("BEGIN", begin).replace("END", end).replace("SETTINGS", settings)
    return START + code


def test_pythons_threads_are_refused_by_name(run):
    program = run(
        START
        + """
thread = other("the other")
for call in (lambda: prefork.fork_processes(1), lambda: prefork.Pool(stay, 1).start(),
             lambda: prefork.Pool(stay, 1).run()):
    try:
        call()
    except RuntimeError as error:
        print(type(error).__name__, error.code, error, flush=True)
end.set()
thread.join()
prefork.fork_processes(1)
"""
    )
    program.end(0)
    lines = program.lines()
    assert len(lines) == 3 and len(set(lines)) == 1
    assert lines[0].startswith(
        "ThreadsError -4098 other threads are running, so forking is not safe: the other. "
    )
    assert "allow_threads=True" in lines[0]


@pytest.mark.parametrize("call", ["prefork.fork_processes(1)", "prefork.Pool(stay, 1).run()"])
def test_a_thread_that_is_not_pythons_is_refused(run, call):
    # Python's own count does not know it.
    program = run(
        START
        + f"""
native()
assert threading.active_count() == 1
try:
    {call}
except prefork.ThreadsError as error:
    print("refused", children(), error, flush=True)
"""
    )
    program.end(0)
    (line,) = program.lines()
    assert line.startswith("refused 0 other threads are running, so forking is not safe: ")
    assert "which Python did not start" in line


@pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="C may not call Python during the fork"
)
def test_a_thread_that_its_library_ends_at_a_fork_is_no_obstacle(run):
    # So do those of OpenBLAS, and thus of numpy.
    program = run(
        START
        + """
thread = native()
@ctypes.PYFUNCTYPE(None)
def prepare():
    global thread
    if thread is not None:
        end_native(thread)
        thread = None
libc.__register_atfork(prepare, None, None, None)
with prefork.Pool(stay, 1) as pool:
    for event in pool:
        if event.type == prefork.EventType.STARTED:
            print("started", flush=True)
            pool.stop()
"""
    )
    program.end(0)
    assert program.lines("started") == ["started"], program.err


@pytest.mark.parametrize(
    "begin, end, name",
    [
        ("other('the other')", "end.set(); thread.join()", "the other. "),
        ("native()", "thread = thread and end_native(thread)", "which Python did not"),
    ],
)
def test_no_worker_is_forked_beside_a_later_thread(run, begin, end, name):
    # Once the thread has ended, the worker is started.
    program = run(later(begin, end))
    program.end(0)
    (told,) = program.lines("told")
    assert told.startswith("told 1 0 -4098 child 0 could not be started: ")
    assert name in told and "allow_threads=True" in told
    assert program.lines("starts") == ["starts 2 told"]


def test_a_later_thread_can_be_allowed(run):
    code = later("other('the other')", "end.set()", ", allow_threads=True")
    program = run(["-W", "ignore::DeprecationWarning", "-c", code])
    program.end(0)
    assert program.lines("starts") == ["starts 2 "]


def test_fork_processes_logs_later_threads(run, tmp_path):
    program = run(
        START
        + """
import logging
class Handler(logging.StreamHandler):
    "Starts a thread with the first record, as some that send them elsewhere."
    thread = None
    def emit(self, record):
        if self.thread is None:
            self.thread = other("sender")
        super().emit(record)
        if "sender" in record.getMessage():
            end.set()
logging.getLogger("prefork").addHandler(Handler(sys.stdout))
logging.getLogger("prefork").setLevel(logging.INFO)
task = prefork.fork_processes(1)
print("worker", flush=True)
if os.path.exists(sys.argv[1]):
    os._exit(0)
open(sys.argv[1], "w").close()
os._exit(1)
""",
        tmp_path / "there was a worker",
    )
    program.end(0)
    assert program.lines("worker") == ["worker", "worker"]
    (told,) = program.lines("child 0 could not be started")
    assert "sender" in told and "allow_threads" in told


ASYNCIO = """
async def main():
    loop = asyncio.get_running_loop()
    starts = told = 0
    async with prefork.Pool(stay, 1, max_restarts=1) as pool:
        async for event in pool:
            if event.type == prefork.EventType.STARTED:
                starts += 1
                if starts == 2:
                    pool.stop()
                    continue
                USE
                os.kill(event.pid, signal.SIGKILL)
            elif event.type == prefork.EventType.START_FAILED:
                told += 1
                print("told", event.message, flush=True)
                end.set()
    await loop.run_in_executor(None, print, "executor")
    print("starts", starts, "told" if told else "")
asyncio.run(main())
"""


def test_idle_helpers_of_asyncio_are_no_obstacle(run):
    # Those of to_thread() and getaddrinfo(). The loop ends them, and starts others.
    use = """
                meeting = threading.Barrier(3)
                await asyncio.gather(*(loop.run_in_executor(None, meeting.wait) for _ in range(3)))
                await loop.getaddrinfo("127.0.0.1", 80)
                assert threading.active_count() >= 4
"""
    program = run(START + ASYNCIO.replace("                USE\n", use))
    program.end(0)
    assert program.lines("executor") == ["executor"]
    assert program.lines("starts") == ["starts 2 "]


def test_busy_helpers_of_asyncio_are_waited_for(run):
    program = run(START + ASYNCIO.replace("USE", "loop.run_in_executor(None, end.wait)"))
    program.end(0)
    (told,) = program.lines("told")
    assert "asyncio_0" in told
    assert program.lines("starts") == ["starts 2 told"]


@pytest.mark.parametrize("thread", ["other('the other')", "native()", "None"])
def test_threads_are_known_without_proc(run, thread):
    inner = (
        START
        + f"""
assert not os.path.exists("/proc/self")
thread = {thread}
try:
    prefork.Pool(lambda task: 0, 1).run()
    print("ran", flush=True)
except prefork.ThreadsError as error:
    print("refused", flush=True)
os._exit(0)
"""
    )
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    hide = "mount -t tmpfs none /proc && exec \"$@\""
    if subprocess.run([*mount, hide, "sh", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no namespaces of mounts here")
    outer = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    program = run(["-c", outer, *mount, hide, "sh", sys.executable, "-c", inner])
    program.end(0)
    assert program.lines() == ["ran" if thread == "None" else "refused"], program.err
