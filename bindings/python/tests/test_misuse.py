# SPDX-License-Identifier: MIT
"""Mistakes in the use of a pool: each is an error that says what is wrong."""

import copy
import functools
import gc
import io
import pickle
import signal
import socket
import subprocess
import sys
import warnings

import prefork
import pytest
from prefork import EventType, Pool


def stay(task_id):
    signal.pause()


class Servant:
    async def __call__(self, task_id):
        pass


async def coroutine(task_id):
    pass


@pytest.mark.parametrize("target", [coroutine, functools.partial(coroutine), Servant()])
def test_a_coroutine_function_is_refused(target):
    with pytest.raises(TypeError, match=r"asyncio\.run"):
        Pool(target, 1)


@pytest.mark.parametrize("target", [None, 3, "work"])
def test_what_is_no_function_is_refused(target):
    with pytest.raises(TypeError, match="target must be a function"):
        Pool(target, 1)


@pytest.mark.parametrize(
    ("setting", "value", "kind", "told"),
    [
        ("workers", 65537, ValueError, "0 to 65,536"),
        ("workers", "2", TypeError, "0 to 65,536"),
        ("workers", 1.5, TypeError, "0 to 65,536"),
        ("max_restarts", 2**40, ValueError, "32 bits"),
        ("stop_timeout", -1, ValueError, "seconds"),
        ("stop_timeout", "1", TypeError, "seconds"),
        ("stop_signal", 1000, ValueError, "a signal"),
        ("parent_death_signal", -3, ValueError, "a signal"),
        ("backoff", (2, 1), ValueError, "not smaller"),
        ("backoff", 2, TypeError, "two numbers"),
        ("restart_window", (1, "2"), TypeError, "a number of restarts"),
        ("restart_window", (70000, 2), ValueError, "1 to 65,536"),
        ("restart_policy", 7, ValueError, "a RestartPolicy"),
        ("exit_actions", {300: 1}, ValueError, "0 to 255"),
        ("process_groups", 3, ValueError, "a ProcessGroups"),
        ("replace_width", 0, ValueError, "1 to 65,536"),
        ("spares", -1, ValueError, "0 to 65,536"),
        ("boot_limit", -1, ValueError, "no limit"),
        ("name", b"bytes", TypeError, "a str"),
        ("name", "x" * 64, ValueError, "63 bytes"),
        ("name", "a\0b", ValueError, "NUL"),
        ("fds", {"a:b": 0}, ValueError, "without colon"),
        ("fds", {b"a": 0}, TypeError, "names"),
        ("fds", {"a": "file"}, TypeError, "open descriptors"),
        ("fds", {"a": io.StringIO()}, ValueError, "open descriptors"),
        ("fds", [0], TypeError, "a mapping"),
        ("exec", "program", TypeError, "the program and its arguments"),
        ("exec", [], ValueError, "at least its name"),
        ("foreign", True, ValueError, "only with exec"),
        ("env", {}, TypeError, "by exec"),
    ],
)
def test_an_error_names_the_setting_and_what_it_may_be(setting, value, kind, told):
    with pytest.raises(kind) as caught:
        Pool(stay, **{"workers": 1, setting: value})
    assert setting in str(caught.value) and told in str(caught.value), caught.value


def test_errors_of_a_running_pool_name_the_argument():
    with Pool(stay, 1) as pool:
        for call, told in (
            (lambda: pool.worker(1), "task_id must be the number of a slot of the pool, not 1"),
            (lambda: pool.replace_worker(4), "task_id must be .* not 4"),
            (lambda: pool.stop_worker(4), "task_id must be .* not 4"),
            (lambda: pool.resize(0), "workers must be .* not 0"),
            (lambda: pool.set_spares(-1), "spares must be 0 to 65,536, not -1"),
            (lambda: pool.send_signal(1, 15), "task_id must be .* not 1"),
            (lambda: pool.send_signal(None, 1000), "number must be .* not 1000"),
            (lambda: pool.handle_signal(9), "number must be .* not 9"),
        ):
            with pytest.raises(ValueError, match=told):
                call()
        with pytest.raises(TypeError, match="task_id must be an int, not '1'"):
            pool.worker("1")


def test_a_name_of_a_file_may_be_bytes_and_an_address_may_not():
    with pytest.raises(TypeError, match="address must be a str, not b"):
        prefork.bind_sockets(0, b"127.0.0.1")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: prefork.bind_sockets(-1), "port must be 0 to 65,535, not -1"),
        (lambda: prefork.bind_sockets(65536), "port must be 0 to 65,535, not 65536"),
        (lambda: prefork.bind_sockets(0, family=socket.AF_UNIX), "family must be AF_UNSPEC, AF_INET or"),
        (lambda: prefork.bind_unix_socket(""), "path must be the name of a file, not ''"),
        (lambda: prefork.bind_unix_socket("x", mode=-1), "mode must be 0 to 0o777, not -1"),
        (lambda: prefork.bind_unix_socket("x", mode=0o1777), "mode must be 0 to 0o777, not 1023"),
    ],
)
def test_an_error_of_a_socket_names_the_parameter_and_its_range(call, told):
    with pytest.raises(ValueError, match=told):
        call()


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_pool_cannot_be_copied(way):
    pool = Pool(stay, 1)
    with pytest.raises(TypeError, match="a pool cannot be copied or pickled"):
        way(pool)
    pool.close()


def test_a_pool_that_was_not_started_says_so():
    pool = Pool(stay, 1)
    for call, arguments in (
        (next, (pool,)),
        (pool.poll, ()),
        (pool.worker, (0,)),
        (pool.stop, ()),
        (pool.reload, ()),
        (pool.workers, ()),
        (pool.fileno, ()),
    ):
        with pytest.raises(prefork.Error, match="was not started: use 'with pool:'"):
            call(*arguments)
    del call, arguments
    with pytest.warns(ResourceWarning, match="pool that was never started"):
        del pool
        gc.collect()


def test_a_pool_that_was_closed_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pool = Pool(stay, 1)
        pool.close()
        del pool
        gc.collect()


def test_the_cause_of_giving_up_is_told():
    with pytest.raises(prefork.GaveUpError) as caught:
        Pool(lambda task: 7, 1, max_restarts=0).run()
    error = caught.value
    assert "exited with status 7" in error.cause
    assert str(error) == "Too many child restarts, giving up; at last: " + error.cause
    assert pickle.loads(pickle.dumps(error)).cause == error.cause


def test_a_program_that_cannot_start_ends_soon():
    starts = 0
    with pytest.raises(prefork.GaveUpError) as caught:
        with Pool(lambda task: 1, 2, min_uptime=60) as pool:
            for event in pool:
                starts += event.type == EventType.STARTED
    assert starts <= 12
    assert "exited with status 1" in caught.value.cause


def test_short_workers_that_are_always_restarted_go_on():
    starts = 0
    settings = {"restart_policy": prefork.RestartPolicy.ALWAYS, "min_uptime": 0}
    with Pool(lambda task: 0, 1, max_restarts=prefork.UNLIMITED, **settings) as pool:
        for event in pool:
            starts += event.type == EventType.STARTED
            if starts == 30:
                pool.kill()


def test_the_stop_after_ctrl_c_is_logged(run):
    program = run(
        """
import logging, prefork, signal, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
def work(task):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("working", flush=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prefork.ready()
    signal.pause()
try:
    prefork.Pool(work, 2, ready_timeout=30).run()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    )
    program.wait_for("working", 2)
    program.signal(signal.SIGINT)
    program.end(0)
    text = program.out
    assert "stopping" in text.lower() and text.count("exited normally") == 2, text
    assert text.rstrip().endswith("interrupted")


def test_any_number_of_sockets_of_systemd(tmp_path):
    program = (
        "import os, socket, sys\n"
        "if 'LISTEN_FDS' in os.environ:\n"
        "    import prefork\n"
        "    print([s.fileno() for s in prefork.listen_fds()] == list(range(3, 103)))\n"
        "    sys.exit()\n"
        "own = socket.create_server(('127.0.0.1', 0))\n"
        "own.set_inheritable(True)\n"
        "source = os.dup2(own.fileno(), 200)\n"
        "for fd in range(3, 103):\n"
        "    os.dup2(source, fd)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='100')\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv])\n"
    )
    path = tmp_path / "program.py"
    path.write_text(program)
    result = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout == "True\n", result.stderr
