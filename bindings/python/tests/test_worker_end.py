# SPDX-License-Identifier: MIT
"""A worker ends as a Python program does: nothing that it has begun is lost."""

import bz2
import gzip
import os
import signal
import sys
import zipfile

import pytest
from support import wait_until

POOL = """
import atexit, concurrent.futures, logging, logging.handlers, multiprocessing, os, prefork
import select, signal, sys, tempfile, threading, time, weakref
{before}
def work(task):
    {target}
def supervise(stops, **settings):
    exits = []
    with prefork.Pool(work, 1, **{{"restart_policy": prefork.RestartPolicy.NEVER, **settings}}) as pool:
        for event in pool:
            if event.type == prefork.EventType.READY and stops:
                pool.stop()
            elif event.type == prefork.EventType.EXITED:
                exits.append(event.exit_code if event.exit_code is not None else -event.signal)
            elif event.type == prefork.EventType.KILLED:
                print("killed")
    return exits
{after}
"""


def pool_of(run, target, before="", after="print(supervise(False))", **environment):
    """A program whose one worker runs the lines of `target`."""
    target = target.strip().replace("\n", "\n    ")
    return run(POOL.format(before=before, target=target, after=after), **environment)


def ends_with(run, target, lines, **named):
    program = pool_of(run, target, **named)
    program.end(0)
    assert program.lines() == lines, program.err


# ---- Threads ----

STOPPED = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
{}
prefork.ready()
select.select([prefork.stop_fd()], [], [])
"""


def test_jobs_of_an_executor_are_done(run):
    target = STOPPED.format(
        "executor = concurrent.futures.ThreadPoolExecutor(2)\n"
        "for number in range(4):\n"
        "    executor.submit(lambda: (time.sleep(0.2), print('job', flush=True)))"
    )
    ends_with(run, target, 4 * ["job"] + ["[0]"], after="print(supervise(True, ready_timeout=60))")


def test_threads_are_joined_unless_they_are_daemons(run):
    ends_with(
        run,
        "threading.Thread(target=lambda: (time.sleep(0.3), print('joined', flush=True))).start()\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "return 3",
        ["joined", "[3]"],
    )


def test_an_executor_in_a_worker_of_a_thread_that_supervises(run):
    ends_with(
        run,
        "executor = concurrent.futures.ThreadPoolExecutor(2)\n"
        "executor.submit(lambda: (time.sleep(0.2), print('job', flush=True)))",
        ["job", "[0]"],
        after="thread = threading.Thread(target=lambda: print(supervise(False,\n"
        "    allow_threads=True, parent_death_signal=0)))\n"
        "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
        "thread.start()\n"
        "thread.join()",
    )


def test_a_thread_that_does_not_end_is_killed_with_its_worker_in_time(run):
    target = STOPPED.format("threading.Thread(target=time.sleep, args=(600,)).start()")
    ends_with(
        run,
        target,
        ["killed", "[-9]"],
        after="print(supervise(True, ready_timeout=60, stop_timeout=0.3))",
    )


def test_what_is_wrong_is_told_before_threads_are_joined(run):
    program = pool_of(
        run,
        "threading.Thread(target=time.sleep, args=(600,)).start()\nraise ValueError('told')",
        after="supervise(False)",
    )
    wait_until(lambda: "ValueError: told" in program.err)
    program.signal(signal.SIGKILL)
    program.end(-signal.SIGKILL)


# ---- Handlers of atexit ----


def test_handlers_of_atexit_are_the_workers_own(run):
    ends_with(
        run,
        "atexit.register(print, 'first', flush=True)\n"
        "atexit.register(print, 'second', flush=True)\n"
        "thread = threading.Thread(target=lambda: (time.sleep(0.2), print('thread', flush=True)))\n"
        "thread.start()\n"
        "sys.exit(4)",
        ["thread", "second", "first", "[4]", "the supervisor's"],
        before="atexit.register(print, \"the supervisor's\")",
    )


def test_a_handler_that_raises_changes_no_status(run):
    program = pool_of(
        run,
        "def fail():\n"
        "    raise ValueError('from the handler')\n"
        "atexit.register(print, 'other', flush=True)\n"
        "atexit.register(fail)\n"
        "return 5",
    )
    program.end(0)
    assert program.lines() == ["other", "[5]"]
    assert "from the handler" in program.err


def test_an_interrupted_worker_ends_as_well(run):
    program = pool_of(
        run,
        "atexit.register(print, 'atexit', flush=True)\nraise KeyboardInterrupt",
    )
    program.end(0)
    assert program.lines() == ["atexit", "[-2]"]
    assert program.err == ""


def test_finalizers_are_run_in_the_process_that_made_them(run):
    program = pool_of(
        run,
        "global kept\n"
        "kept = tempfile.TemporaryDirectory()\n"
        "print(kept.name, flush=True)\n"
        "weakref.finalize(work, print, 'worker', flush=True)",
        before="ours = tempfile.TemporaryDirectory()\n"
        "weakref.finalize(ours, print, 'supervisor', flush=True)",
        after="exits = supervise(False)\nprint(exits, os.path.exists(ours.name))\nsys.stdout.flush()",
    )
    program.end(0)
    path, *others = program.lines()
    assert others == ["worker", "[0] True", "supervisor"]
    assert not os.path.exists(path)


# ---- Multiprocessing ----


def test_children_and_queues_of_multiprocessing_are_waited_for(run):
    program = pool_of(
        run,
        "def child():\n"
        "    time.sleep(0.3)\n"
        "    print('child', flush=True)\n"
        "fork = multiprocessing.get_context('fork')\n"
        "fork.Process(target=child).start()\n"
        "queue.put('x' * 100000)",
        before="queue = multiprocessing.Queue()",
        after="reader = os.fork()\n"
        "if reader == 0:\n"
        "    print(len(queue.get()), flush=True)\n"
        "    os._exit(0)\n"
        "exits = supervise(False)\n"
        "os.waitpid(reader, 0)\n"
        "print(exits)",
    )
    program.end(0)
    assert sorted(program.lines()) == ["100000", "[0]", "child"], program.err


@pytest.mark.parametrize("way", ["supervise(False)", "forks()"])
def test_children_of_the_supervisor_are_left_alone(run, way):
    ends_with(
        run,
        "return 0",
        ["alive"],
        before="def forks():\n"
        "    try:\n"
        "        prefork.fork_processes(1)\n"
        "    except SystemExit:\n"
        "        return\n"
        "    sys.exit(0)",
        after="fork = multiprocessing.get_context('fork')\n"
        "child = fork.Process(target=time.sleep, args=(600,), daemon=True)\n"
        "child.start()\n"
        f"{way}\n"
        "time.sleep(0.1)\n"
        "print('alive' if child.is_alive() else 'terminated')",
    )


# ---- Files ----


def test_files_are_flushed(run, tmp_path):
    target = (
        "global kept\n"
        "kept = open(os.environ['MINE'], 'w')\n"
        "kept.write('of the worker\\n')\n"
        "binary = open(os.environ['MINE'] + '.binary', 'wb')\n"
        "binary.write(b'binary')\n"
        "kept.other = binary\n"
        "ours.write('of the worker\\n')"
    )
    program = pool_of(
        run,
        target,
        before="ours = open(os.environ['OURS'], 'w')\nours.write('of the supervisor\\n')",
        after="print(supervise(False))\nours.write('the end\\n')",
        MINE=str(tmp_path / "mine"),
        OURS=str(tmp_path / "ours"),
    )
    program.end(0)
    assert (tmp_path / "mine").read_text() == "of the worker\n"
    assert (tmp_path / "mine.binary").read_text() == "binary"
    assert (tmp_path / "ours").read_text() == "of the supervisor\nof the worker\nthe end\n"


def test_a_file_that_the_supervisor_opens_later_is_written_once(run, tmp_path):
    program = pool_of(
        run,
        "return int(later is None)",
        before="later = None",
        after="with prefork.Pool(work, 1) as pool:\n"
        "    for event in pool:\n"
        "        if event.type == prefork.EventType.STARTED and later is None:\n"
        "            later = open(os.environ['LATER'], 'w')\n"
        "            later.write('once\\n')\n"
        "print('ended', flush=True)",
        LATER=str(tmp_path / "later"),
    )
    program.end(0)
    assert program.lines() == ["ended"]
    assert (tmp_path / "later").read_text() == "once\n"


@pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="PyPy does not destroy objects at its end either"
)
def test_what_a_worker_has_made_is_finalized(run, tmp_path):
    # Held by modules and by objects of the supervisor, which are not destroyed.
    program = pool_of(
        run,
        "import bz2, gzip, zipfile\n"
        "global kept\n"
        "kept = gzip.open(os.environ['MADE'] + '.gz', 'wt')\n"
        "kept.write('of the worker')\n"
        "ours['bz2'] = bz2.open(os.environ['MADE'] + '.bz2', 'wb')\n"
        "ours['bz2'].write(b'of the worker')\n"
        "ours['zip'] = zipfile.ZipFile(os.environ['MADE'] + '.zip', 'w')\n"
        "ours['zip'].writestr('name', 'of the worker')\n"
        "ours['temporary'] = tempfile.NamedTemporaryFile(suffix='.worker')\n"
        "ours['noted'] = Noted('worker')\n"
        "print(ours['temporary'].name, flush=True)",
        before="class Noted:\n"
        "    def __init__(self, text):\n"
        "        self.text = text\n"
        "    def __del__(self):\n"
        "        print('destroyed:', self.text, flush=True)\n"
        "ours = {'supervisor': Noted('supervisor'), 'file': tempfile.NamedTemporaryFile()}",
        after="exits = supervise(False)\n"
        "print(exits, os.path.exists(ours['file'].name), flush=True)\n"
        "ours['file'].close()",
        MADE=str(tmp_path / "made"),
    )
    program.end(0)
    path, *others = program.lines()
    assert others == ["destroyed: worker", "[0] True", "destroyed: supervisor"], program.err
    assert program.err == ""
    assert not os.path.exists(path)
    assert gzip.open(tmp_path / "made.gz", "rt").read() == "of the worker"
    assert bz2.open(tmp_path / "made.bz2").read() == b"of the worker"
    assert zipfile.ZipFile(tmp_path / "made.zip").read("name") == b"of the worker"


def test_records_of_logging_are_written_once(run):
    ends_with(
        run,
        "logging.getLogger().error('of the worker')\n"
        "mine = logging.handlers.MemoryHandler(9, 99, logging.StreamHandler(sys.stdout))\n"
        "logging.getLogger('mine').addHandler(mine)\n"
        "logging.getLogger('mine').propagate = False\n"
        "logging.getLogger('mine').error('in a buffer of its own')",
        ["in a buffer of its own", "of the worker", "[0]", "of the supervisor"],
        before="memory = logging.handlers.MemoryHandler(9, 99, logging.StreamHandler(sys.stdout))\n"
        "logging.getLogger().addHandler(memory)\n"
        "logging.getLogger().error('of the supervisor')",
        after="print(supervise(False), flush=True)",
    )


def test_streams_of_c_are_flushed(run):
    program = pool_of(
        run,
        "libc.puts(b'worker')",
        before="import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.puts(b'supervisor')",
        after="print(supervise(False), flush=True)",
    )
    program.end(0)
    assert program.lines() == ["supervisor", "worker", "[0]"]


# ---- The result ----


@pytest.mark.parametrize("result", ["True", "False", "'2'", "2.0", "[]"])
def test_a_result_that_is_no_status_is_refused(run, result):
    program = pool_of(run, f"return {result}")
    program.end(0)
    assert program.lines() == ["[1]"]
    assert "TypeError" in program.err and "None or an int" in program.err


def test_a_result_that_is_an_integer_of_another_kind_is_taken(run):
    ends_with(run, "return signal.SIGINT", ["[2]"])
