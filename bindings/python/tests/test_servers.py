# SPDX-License-Identifier: MIT
"""Servers of others on this package: Tornado's, asyncio's, one of WSGI, and the example."""

import os
import re
import signal
import sys
import urllib.request
from pathlib import Path

import prefork
import pytest
from support import wait_until

EXAMPLES = Path(__file__).parent.parent / "examples"
EXAMPLE = EXAMPLES / "hello.py"
METRICS = EXAMPLES / "metrics.py"


def get(port, path="/"):
    # Not through a proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.read().decode()


def both_tasks_answer(port):
    def asked():
        seen.add(get(port))
        return seen >= {"task 0", "task 1"}

    seen = set()
    wait_until(asked, "answers of both tasks")
    assert seen == {"task 0", "task 1"}


SERVERS = {
    "tornado": """
import asyncio, prefork, tornado.httpserver, tornado.netutil, tornado.web

class Hello(tornado.web.RequestHandler):
    def get(self):
        self.write(f"task {prefork.task_id()}")

sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
print("port", sockets[0].getsockname()[1], flush=True)
prefork.fork_processes(2)

async def main():
    server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Hello)]))
    server.add_sockets(sockets)
    await asyncio.Event().wait()

asyncio.run(main())
""",
    "asyncio": """
import asyncio, prefork

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    body = f"task {prefork.task_id()}".encode()
    writer.write(b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    await writer.drain()
    writer.close()

sockets = prefork.bind_sockets(0, "127.0.0.1")
print("port", sockets[0].getsockname()[1], flush=True)
prefork.fork_processes(2)

async def main():
    server = await asyncio.start_server(answer, sock=sockets[0])
    await server.serve_forever()

asyncio.run(main())
""",
    "wsgi": """
import prefork, wsgiref.simple_server

class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"task {prefork.task_id()}".encode()]

server = wsgiref.simple_server.make_server("127.0.0.1", 0, hello, handler_class=Quiet)
print("port", server.server_port, flush=True)
prefork.fork_processes(2)
server.serve_forever()
""",
}


@pytest.mark.parametrize("kind", SERVERS)
def test_server(run, kind):
    program = run(["-c", SERVERS[kind]])
    port = int(program.wait_for("port")[0].split()[1])
    both_tasks_answer(port)
    program.signal(signal.SIGTERM)
    program.end(-signal.SIGTERM)


def test_example(run):
    program = run([str(EXAMPLE), "-p", "0", "-n", "2"])
    port = int(program.wait_for("hello: listening")[0].split()[-1])
    answer = get(port, "/?signal=9")
    pid, task = re.fullmatch(r"hello from pid (\d+), task ([01])\n", answer).groups()
    line = f"child {task} (pid {pid}) killed by signal 9, restarting"
    wait_until(lambda: line in program.err, "the restart")
    wait_until(lambda: pid not in get(port), "an answer")
    assert "hello from pid" in get(port, "/?sleep=0.1")
    program.signal(signal.SIGHUP)
    wait_until(lambda: "Reloaded 2 processes" in program.err, "the end of the reload")
    assert "hello from pid" in get(port)
    program.signal(signal.SIGTERM)
    program.end(-signal.SIGTERM)
    assert "All processes have ended" in program.err


CASES = {
    "normal": "os._exit(0)",
    "status_once": "os._exit(3 if task == 1 and first() else 0)",
    "exception": "raise ValueError if task == 1 and first() else SystemExit(0)",
    "exit_256": "sys.exit(256)",
    **{
        f"signal_{number}": f"os.kill(os.getpid(), {number} if task == 0 and first() else 0)"
        for number in (15, 9, 11, 6, 1, 14, 37, 13)
    },
}
LIKE_TORNADO = """
import logging, os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if sys.argv[1] == "prefork":
    from prefork import fork_processes, task_id
else:
    from tornado.process import fork_processes, task_id
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(message)s")

def first():
    try:
        os.close(os.open(sys.argv[2], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

assert task_id() is None
task = fork_processes(2, 5)
assert task == task_id()
{end}
"""


@pytest.mark.parametrize("case", CASES)
def test_logs_and_ends_are_tornados(run, tmp_path, case):
    seen = []
    for which in ("tornado", "prefork"):
        program = run(["-c", LIKE_TORNADO.replace("{end}", CASES[case]), which, tmp_path / which])
        program.end(0)
        seen.append(sorted(re.sub(r"pid \d+", "pid PID", line) for line in program.lines()))
    assert seen[0] == seen[1]
    assert len(seen[0]) >= 3


def test_numbers_are_tornados(run):
    code = """
import logging, sys
from prefork import cpu_count, fork_processes
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
print("cpus", cpu_count())
sys.exit(fork_processes({}) and 0)
"""
    for number in ("None", "0", "-3"):
        program = run(code.format(number))
        program.end(0)
        cpus = int(program.lines("cpus")[0].split()[1])
        assert f"Starting {cpus} processes" in program.out
    # k restarts are allowed, and the next end is too many; None: 100. Negatives are like 0.
    code = """
import os, prefork, signal, sys
def forks(restarts):
    return prefork.fork_processes(1, restarts)
try:
    task = forks({0})
except RuntimeError as error:
    print(error)
    sys.exit(4)
print("worker", flush=True)
os._exit(7)
"""
    for restarts, workers in (("2", 3), ("0", 1), ("-1", 1), ("None", 101)):
        program = run(code.format(restarts))
        program.end(4)
        assert program.lines().count("worker") == workers
        assert program.lines()[-1] == "Too many child restarts, giving up"


def test_other_children_keep_their_status(run):
    program = run(
        """
import os, prefork, subprocess, sys
other = subprocess.Popen([sys.executable, "-c", "raise SystemExit(5)"])
supervisor = os.getpid()
try:
    prefork.fork_processes(2)
finally:
    if os.getpid() == supervisor:
        print("other", other.wait(), flush=True)
"""
    )
    program.end(0)
    assert program.lines() == ["other 5"]


def test_call_again_after_the_end(run):
    program = run(
        """
import os, prefork
supervisor = os.getpid()
for _ in range(2):
    try:
        task = prefork.fork_processes(2)
        print("task", task, flush=True)
        os._exit(0)
    except SystemExit:
        assert os.getpid() == supervisor and prefork.task_id() is None
print("end", flush=True)
"""
    )
    program.end(0)
    assert sorted(program.lines()) == ["end", "task 0", "task 0", "task 1", "task 1"]


def test_version():
    assert prefork.library_version().count(".") == 2
    assert sys.modules["prefork"].__all__ == sorted(prefork.__all__, key=_order)
    assert all(hasattr(prefork, name) for name in prefork.__all__)


def _order(name):
    return (not name.isupper(), name[0].islower(), name)


def test_metrics_are_the_counters_of_the_pool(run):
    pytest.importorskip("prometheus_client")
    program = run([str(METRICS), "-p", "0", "-m", "0", "-n", "2"])
    port = int(program.wait_for("listening on port")[0].split()[-1])
    metrics = int(program.wait_for("metrics on port")[0].split()[-1])

    def values():
        lines = [line.split() for line in get(metrics, "/metrics").splitlines() if line[0] != "#"]
        return {line[0]: float(line[1]) for line in lines}

    wait_until(lambda: values()["prefork_ready"] == 2, "two workers that are ready")
    os.kill(int(get(port).split()[-1]), signal.SIGKILL)
    wait_until(lambda: values()["prefork_restarted_total"] == 1, "the restart")
    program.signal(signal.SIGHUP)
    program.wait_for("Reloaded")
    seen = values()
    assert seen["prefork_reloads_total"] == 1 and seen["prefork_started_total"] == 5 and seen["prefork_abnormal_total"] == 1
    assert set(seen) >= {"prefork_ready", "prefork_alive", "prefork_spares"}
    assert len([name for name in seen if name.startswith("prefork_uptime_seconds")]) == 2
    program.signal(signal.SIGTERM)
    program.end(-signal.SIGTERM)
