# SPDX-License-Identifier: MIT
"""Workers by exec, spares, descriptors by name, foreign programs, upgrades and daemons."""

import os
import signal
import sys

import prefork
import pytest
from prefork import Counter, EventType, Pool
from support import wait_until

BEGIN = """
import asyncio, logging, os, prefork, signal, socket, sys, threading, time
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
def say(*words):
    print(*words, flush=True)
def stay(task):
    say("worker", task, os.getpid())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    prefork.ready()
    while True:
        signal.pause()
"""


def numbers(line):
    return list(map(int, line.split()[1:]))


def test_a_worker_runs_this_program_anew(run):
    program = run(
        BEGIN
        + """
import atexit
def work(task):
    atexit.register(say, "atexit of", task)
    say("worker", task, prefork.task_id(), prefork.pool_name(), os.getppid(),
        [name for name in os.environ if name.startswith("PF_")])
    return 3 if task == 1 else None
done = {3: prefork.ExitAction.DONE}
prefork.Pool(work, 2, name="exec", exec=True, exit_actions=done).run()
""",
    )
    program.end(0)
    for task in (0, 1):
        (line,) = program.lines(f"worker {task}")
        assert line == f"worker {task} {task} exec {program.pid} []"
        assert program.lines(f"atexit of {task}")
    assert program.out.count("exited with status 3") == 1


def test_workers_by_exec_need_no_program_without_threads(run):
    program = run(
        BEGIN
        + """
if prefork.task_id() is None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
async def main():
    pool = prefork.Pool(stay, 2, exec=True)
    pool.run_worker()
    starts = 0
    async with pool:
        async for event in pool:
            starts += event.type == prefork.EventType.STARTED
            if event.type == prefork.EventType.STARTED and starts == 1:
                await asyncio.to_thread(time.sleep, 0.01)
                os.kill(event.pid, signal.SIGKILL)
            if starts == 3:
                pool.stop()
    say("starts", starts)
if prefork.task_id() is not None:
    prefork.Pool(stay, 2, exec=True).run()
asyncio.run(main())
""",
    )
    program.end(0)
    assert program.lines("starts") == ["starts 3"]


def test_a_worker_by_exec_in_a_loop_says_what_to_do(run):
    program = run(
        BEGIN
        + """
async def main():
    async with prefork.Pool(stay, 1, exec=True, max_restarts=0) as pool:
        async for event in pool:
            pass
try:
    asyncio.run(main())
except prefork.GaveUpError:
    say("gave up")
""",
    )
    program.end(0)
    assert "call pool.run_worker() before asyncio.run()" in program.err
    assert program.lines("gave up")


@pytest.mark.parametrize("way", ["fork", "exec"])
def test_a_pool_by_exec_in_a_worker_needs_another_name(run, way):
    program = run(
        BEGIN
        + """
import errno
inner = ["sh", "-c", "echo inner worker"]
def work(task):
    try:
        prefork.Pool(work, 1, name="web", exec=inner).run()
    except OSError as error:
        say("refused", error.errno == errno.ELOOP, error)
    prefork.Pool(work, 1, name="inner", exec=inner, foreign=True).run()
    prefork.Pool(lambda task: say("forked worker"), 1, name="web").run()
    say("both done")
prefork.Pool(work, 1, name="web", exec=sys.argv[1] == "exec", max_restarts=0).run()
""",
        way,
    )
    program.end(0)
    assert program.lines("refused")[0].startswith("refused True ")
    assert program.lines("inner") == ["inner worker"]
    assert program.lines("forked") == ["forked worker"]
    assert program.lines("both")


def test_another_pool_comes_too_early_in_a_worker(run):
    program = run(
        BEGIN
        + """
if prefork.task_id() is not None:
    try:
        prefork.Pool(stay, 1, name="other", exec=True).run()
    except prefork.Error as error:
        say("refused", error)
        sys.exit(0)
prefork.Pool(stay, 1, name="one", exec=True).run()
""",
    )
    program.end(0)
    (line,) = program.lines("refused")
    assert "worker of the pool 'one'" in line and "'other'" in line


def test_descriptors_come_by_name(run):
    for settings in ("exec=True, ", ""):
        program = run(
            BEGIN
            + f"""
fds = {{}}
if prefork.task_id() is None:
    left, right = socket.socketpair()
    left.setblocking(False)
    fds = {{"peer": right, "raw": right.fileno()}}
def work(task):
    assert os.path.sameopenfile(prefork.worker_fd("peer"), prefork.worker_fd("raw"))
    with prefork.worker_socket("peer") as peer:
        peer.send(b"from %d" % task)
    try:
        prefork.worker_fd("nothing")
    except FileNotFoundError as error:
        say("error", error)
prefork.Pool(work, 1, {settings}fds=fds).run() if prefork.task_id() is not None else None
pool = prefork.Pool(work, 1, {settings}fds=fds)
pool.run()
say("got", left.recv(100))
""",
        )
        program.end(0)
        assert program.lines("got") == ["got b'from 0'"], program.err
        assert len(program.lines("error")) == 1


def test_sockets_that_were_bound_are_those_of_workers_by_exec(run):
    program = run(
        BEGIN
        + """
(listener,) = prefork.bind_sockets(0, "127.0.0.1")
def work(task):
    say("port", task, listener.getsockname()[1])
    prefork.ready()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
with prefork.Pool(work, 2, exec=True, ready_timeout=30) as pool:
    for event in pool:
        if pool.counter(prefork.Counter.READY) == 2:
            break
say("port", 9, listener.getsockname()[1])
""",
    )
    program.end(0)
    assert len({line.split()[2] for line in program.lines("port")}) == 1
    assert len(program.lines("port")) == 3


def test_another_program_and_its_environment(tmp_path):
    with Pool(None, 1, exec=["sh", "-c", f'echo "$A" >{tmp_path}/out'], env={"A": "b"}) as pool:
        assert [event for event in pool if event.type == EventType.EXITED][0].exit_code == 0
    assert (tmp_path / "out").read_text() == "b\n"
    with pytest.raises(FileNotFoundError):
        Pool(None, 1, exec=["no-such-program-anywhere"])


def test_a_foreign_program_reports_as_a_service_does():
    code = (
        "import os, socket, time\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "name = os.environ['NOTIFY_SOCKET']\n"
        "s.sendto(b'READY=1', '\\0' + name[1:] if name[0] == '@' else name)\n"
        "time.sleep(600)\n"
    )
    program = [sys.executable, "-c", code]
    with Pool(None, 1, exec=program, foreign=True, ready_timeout=60) as pool:
        for event in pool:
            if event.type == EventType.READY:
                pool.stop()
        assert pool.counter(Counter.STARTED) == 1


@pytest.mark.parametrize("exec", [False, True])
def test_a_spare_takes_the_slot_of_a_worker(run, exec):
    program = run(
        BEGIN
        + f"""
killed = 0
with prefork.Pool(stay, 1, exec={exec}, spares=1, ready_timeout=60) as pool:
    for event in pool:
        if event.type == prefork.EventType.SPARE_STARTED:
            say("spare", event.pid)
        if event.type == prefork.EventType.STARTED:
            say("slot", event.pid)
        counters = pool.counters()
        if counters[prefork.Counter.READY] and counters[prefork.Counter.SPARES] and not killed:
            killed = pool.worker(0).pid
            time.sleep(0.3)
            os.kill(killed, signal.SIGKILL)
        elif counters[prefork.Counter.READY] and pool.worker(0).pid != killed and killed:
            say("now", pool.worker(0).pid)
            break
""",
    )
    program.end(0)
    (now,) = program.lines("now")
    assert f"spare {numbers(now)[0]}" in program.lines("spare")
    tasks = [line.split()[1] for line in program.lines("worker")]
    assert tasks == ["0", "0"], program.out


@pytest.mark.parametrize("exec", [False, True])
def test_an_upgrade_keeps_the_process_and_its_workers(run, tmp_path, exec):
    script = tmp_path / "program.py"
    script.write_text(
        BEGIN
        + f"""
sockets = prefork.bind_sockets(0, "127.0.0.1")
pool = prefork.Pool(stay, 2, name="up", exec={exec}, ready_timeout=60,
                    signals=prefork.Signals.STANDARD)
pool.run_worker()
signal.signal(signal.SIGUSR2, lambda *_: pool.upgrade())
say("supervisor", os.getpid(), sockets[0].getsockname()[1])
pool.run()
say("ended", pool.stopped_by)
"""
    )
    program = run([str(script)])
    program.wait_for("worker", 2)
    for generation in (2, 3):
        program.signal(signal.SIGUSR2)
        program.wait_for("supervisor", generation)
    assert len(set(program.lines("supervisor"))) == 1
    assert len(program.lines("worker")) == 2
    victim = numbers(program.lines("worker")[0])[1]
    os.kill(victim, signal.SIGKILL)
    program.wait_for("worker", 3)
    program.signal(signal.SIGTERM)
    program.end(0)
    assert program.lines("ended") == ["ended 15"]


def test_an_upgrade_that_fails_is_logged(run):
    program = run(
        BEGIN
        + """
pool = prefork.Pool(stay, 1, signals=prefork.Signals.STANDARD)
signal.signal(signal.SIGUSR2, lambda *_: pool.upgrade(["/no/such/program"]))
pool.run()
"""
    )
    program.wait_for("worker")
    program.signal(signal.SIGUSR2)
    program.wait_for("the upgrade failed: ")
    program.signal(signal.SIGTERM)
    program.end(0)


def test_a_daemon_ends_its_launcher_when_its_workers_are_ready(run, tmp_path):
    out = tmp_path / "out"
    program = run(
        BEGIN
        + f"""
os.register_at_fork(after_in_child=lambda: say("forked"))
launcher = os.getpid()
prefork.daemonize({str(tmp_path / "pid")!r})
assert os.getpid() != launcher and threading.current_thread() is threading.main_thread()
def work(task):
    prefork.ready()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
try:
    prefork.daemonize()
except OSError as error:
    say("again", error.errno)
pool = prefork.Pool(work, 1, ready_timeout=60, signals=prefork.Signals.STANDARD)
pool.run()
with open({str(out)!r}, "w") as file:
    file.write(str(pool.stopped_by))
prefork.die_of_signal(pool.stopped_by)
"""
    )
    assert program.process.wait(60) == 0, program.err
    pid = int((tmp_path / "pid").read_text())
    assert program.lines("again") and pid != program.pid
    if sys.implementation.name == "cpython":
        assert program.lines("forked")
    assert os.getsid(pid) not in (program.pid, os.getsid(0))
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not (tmp_path / "pid").exists(), "the end of the daemon")
    assert out.read_text() == "15"


def test_a_pool_is_served_by_any_event_loop(listener):
    import select

    pool = Pool(lambda task: 0, 2)
    pool.start()
    ended = 0
    while not pool.is_done:
        select.select([pool.fileno()], [], [], 60)
        ended += sum(event.type == EventType.EXITED for event in pool.poll())
    ended += sum(event.type == EventType.EXITED for event in pool.poll())
    pool.close()
    assert ended == 2


def test_a_worker_that_was_stopped_stays_away_until_it_is_wanted(listener):
    def work(task):
        signal.pause()

    with Pool(work, 1) as pool:
        step = 0
        for event in pool:
            if event.type == EventType.STARTED and step == 0:
                pool.stop_worker(0)
                step = 1
            elif event.type == EventType.EXITED and step == 1:
                assert pool.worker(0).state == prefork.WorkerState.EMPTY
                pool.replace_worker(0)
                step = 2
            elif event.type == EventType.STARTED and step == 2:
                assert event.reason == prefork.Reason.REPLACE
                break


def test_a_worker_may_retire(run):
    def work(task):
        if not os.path.exists(mark):
            open(mark, "w").close()
            prefork.retire()
        prefork.ready()
        signal.pause()

    mark = f"/tmp/prefork-retire-{os.getpid()}"
    try:
        with Pool(work, 1, ready_timeout=60, min_uptime=0) as pool:
            for event in pool:
                if event.reason == prefork.Reason.RETIRE and event.type == EventType.EXITED:
                    break
    finally:
        os.unlink(mark)


def test_handle_signal_and_wake():
    with Pool(lambda task: signal.pause(), 1) as pool:
        for event in pool:
            if event.type == EventType.STARTED:
                pool.wake()
                pool.handle_signal(signal.SIGTERM)
    assert pool.stopped_by == signal.SIGTERM


def test_numpys_generator_differs_between_workers(run):
    pytest.importorskip("numpy")
    program = run(
        """
import numpy, prefork
numpy.random.seed(1)
task = prefork.fork_processes(2)
print("number", numpy.random.random(), flush=True)
"""
    )
    program.end(0)
    assert len(set(program.lines("number"))) == 2


def test_tornados_own_calls_fork_by_this_package(run):
    program = run(
        """
import prefork, tornado.process, warnings
warnings.simplefilter("ignore")  # Tornado asks for a loop in a way that is deprecated
prefork.install_in_tornado()
import tornado.httpserver, tornado.web
server = tornado.httpserver.HTTPServer(tornado.web.Application([]))
server.bind(0, "127.0.0.1")
server.start(2)
print("task", tornado.process.task_id(), prefork.task_id(), len(server._sockets), flush=True)
"""
    )
    program.end(0)
    assert sorted(program.lines("task")) == ["task 0 0 1", "task 1 1 1"]


def test_two_tasks_iterate_over_one_pool():
    import asyncio

    async def main():
        seen = []

        async def consume(pool):
            async for event in pool:
                seen.append(event.type)

        async with Pool(lambda task: 0, 2) as pool:
            await asyncio.gather(consume(pool), consume(pool))
        return seen

    seen = asyncio.run(asyncio.wait_for(main(), 60))
    assert seen.count(EventType.EXITED) == 2 and seen[-1] == EventType.DONE
