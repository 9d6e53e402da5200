"""The command prefork as a user has it: see check.sh.

SPDX-License-Identifier: MIT
"""

import fcntl
import http.client
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import pyte
from prometheus_client.openmetrics.parser import text_string_to_metric_families

PATIENCE_S = 20 * int(os.environ.get("TEST_TIME_SCALE") or 1)
SERVER = pathlib.Path(__file__).with_name("check_server.py")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(str(self.path))


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            result = condition()
        except (OSError, http.client.HTTPException):
            result = None
        if result:
            return result
        assert time.monotonic() < end, f"waited in vain for {condition.__name__}"
        time.sleep(0.02)


class Pool:
    """A supervisor in a session of its own, of which nothing is left at the end."""

    def __init__(self, scratch, *arguments, program=(sys.executable, str(SERVER))):
        self.monitor = scratch / "monitor"
        self.log = scratch / "log"
        self.port = None
        command = ["prefork", "--metrics", f"unix:{self.monitor}", "--log-format", "json"]
        command += ["--backoff", "0,0", *arguments, "--", *program]
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output,
                                            start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in self.session():
            os.kill(pid, signal.SIGKILL)

    def session(self):
        listed = subprocess.run(["ps", "-o", "pid=", "-s", str(self.process.pid)],
                                stdout=subprocess.PIPE, check=False)
        return [int(word) for word in listed.stdout.split()]

    def lines(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()
                if line.startswith("{")]

    def events(self, name):
        return [line for line in self.lines() if line.get("event") == name]

    def page(self, path):
        connection = UnixConnection(self.monitor)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()

    def metrics(self):
        """{name: {labels: value}}"""
        status, kind, text = self.page("/metrics")
        assert status == 200 and kind.startswith("application/openmetrics-text"), kind
        found = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = tuple(sorted(sample.labels.items()))
                assert key not in found.setdefault(sample.name, {}), sample
                found[sample.name][key] = sample.value
        return found

    def value(self, name):
        (value,) = self.metrics()[name].values()
        return value

    def workers(self):
        """[(task id, state, pid, restarts)]"""
        table = subprocess.run(["prefork", "status", str(self.monitor)], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=False).stdout.decode()
        rows = [line.split() for line in table.splitlines()[3:]]
        return [(int(row[0]), row[1], int(row[2]) if row[2] != "-" else 0, int(row[4]))
                for row in rows]

    def pids(self):
        return [worker[2] for worker in self.workers()]

    def serve(self, count):
        def are_ready():
            return [worker[1] for worker in self.workers()] == ["ready"] * count
        until(are_ready)
        return self

    def find_port(self):
        def has_port():
            return re.search(r"has port (\d+)", self.log.read_text())
        self.port = int(until(has_port)[1])
        return self.port

    def ask(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while part := client.recv(4096):
                answer += part
        return int(answer.split(b"\r\n\r\n")[1])

    def send(self, number):
        self.process.send_signal(number)

    def ends(self, status):
        assert self.process.wait(PATIENCE_S) == status, self.process.returncode
        until(lambda: not self.session())


# ---- The scenarios of all bindings --------------------------------------------------------------


def restart_with_the_same_id(scratch):
    with Pool(scratch, "-n", "2", "--ready-timeout", "10") as pool:
        first, other = pool.serve(2).pids()
        os.kill(first, signal.SIGKILL)
        until(lambda: pool.serve(2).pids()[0] != first)
        assert pool.pids()[1] == other
        assert [worker[3] for worker in pool.workers()] == [1, 0]


def clean_exit(scratch):
    with Pool(scratch, "-n", "3", program=("true",)) as pool:
        pool.ends(0)


def limit_gives_up(scratch):
    arguments = ("-n", "2", "--max-restarts", "2", "--boot-limit", "0")
    with Pool(scratch, *arguments, program=("false",)) as pool:
        pool.ends(1)
        assert pool.events("gave_up"), pool.lines()


def terminated_supervisor_leaves_nobody(scratch):
    with Pool(scratch, "-n", "2", "--ready-timeout", "10") as pool:
        pool.serve(2).send(signal.SIGTERM)
        pool.ends(-signal.SIGTERM)


def killed_supervisor_leaves_nobody(scratch):
    with Pool(scratch, "-n", "2", "--ready-timeout", "10") as pool:
        pool.serve(2).send(signal.SIGKILL)
        pool.ends(-signal.SIGKILL)


def event_order_and_fields(scratch):
    with Pool(scratch, "-n", "1", "--ready-timeout", "10") as pool:
        (pid,) = pool.serve(1).pids()
        os.kill(pid, signal.SIGSEGV)
        until(lambda: len(pool.serve(1).events("worker_ready")) == 2)
        pool.send(signal.SIGTERM)
        pool.ends(-signal.SIGTERM)
        of_workers = [line for line in pool.lines() if "worker" in line]
        names = [line["event"] for line in of_workers]
        assert names == ["worker_started", "worker_ready", "worker_exited"] * 2, names
        end = of_workers[2]
        assert end["pid"] == pid and end["signal"] == signal.SIGSEGV and end["will_restart"]
        assert end["level"] == "warning" and end["restarts"] == 1 and end["worker"] == 0
        assert pool.lines()[-1]["message"] == "All processes have ended"


def graceful_stop(scratch):
    program = ("sh", "-c", 'trap "" TERM; echo trapped; while :; do sleep 1; done')
    with Pool(scratch, "-n", "1", "--stop-timeout", "0.3", program=program) as pool:
        until(lambda: "trapped" in pool.log.read_text().splitlines())
        pool.send(signal.SIGTERM)
        pool.ends(-signal.SIGTERM)
        assert pool.events("worker_exited")[0]["signal"] == signal.SIGKILL


def rolling_reload(scratch):
    with Pool(scratch, "-n", "2", "-l", "127.0.0.1:0", "--ready-timeout", "10") as pool:
        old = pool.serve(2).pids()
        pool.find_port()
        is_over = threading.Event()
        answers, failures = [], []

        def load():
            while not is_over.is_set():
                try:
                    answers.append(pool.ask())
                except (OSError, IndexError, ValueError) as error:
                    failures.append(error)

        thread = threading.Thread(target=load)
        thread.start()
        for count in (1, 2, 3):
            pool.send(signal.SIGHUP)
            until(lambda: len(pool.events("reloaded")) == count and len(answers) > 20 * count)
        is_over.set()
        thread.join()
        assert not failures, failures
        assert not set(old) & set(pool.serve(2).pids())


def resize(scratch):
    with Pool(scratch, "-n", "2", "--ready-timeout", "10") as pool:
        old = pool.serve(2).pids()
        pool.send(signal.SIGTTIN)
        pool.serve(3).send(signal.SIGTTOU)
        assert pool.serve(2).pids() == old


def shared_listening_socket(scratch):
    with Pool(scratch, "-n", "2", "-l", "127.0.0.1:0", "--ready-timeout", "10") as pool:
        pids = set(pool.serve(2).pids())
        pool.find_port()
        seen = set()
        until(lambda: seen.add(pool.ask()) or seen == pids)


# ---- Of the command -----------------------------------------------------------------------------


def metrics(scratch):
    with Pool(scratch, "-n", "2", "--name", "web", "--ready-timeout", "10") as pool:
        first = pool.serve(2).pids()[0]
        os.kill(first, signal.SIGKILL)
        pool_of = (("pool", "web"),)

        def after_restart():
            page = pool.metrics()
            is_over = page["prefork_workers_started_total"][pool_of] == 3
            return page if is_over and page["prefork_workers_ready"][pool_of] == 2 else None

        found = until(after_restart)
        wanted = {"prefork_workers": 2, "prefork_workers_ready": 2, "prefork_processes": 2,
                  "prefork_workers_exited_total": 1, "prefork_workers_abnormal_total": 1,
                  "prefork_workers_restarted_total": 1, "prefork_reloads_total": 0,
                  "prefork_workers_unresponsive_total": 0, "prefork_spares": 0}
        for name, value in wanted.items():
            assert found[name] == {pool_of: value}, (name, found[name])
        for name in ("ready", "restarts", "uptime_seconds", "cpu_seconds",
                     "resident_memory_bytes"):
            assert len(found["prefork_worker_" + name]) == 2, name
        for memory in found["prefork_worker_resident_memory_bytes"].values():
            assert 1e6 < memory < 1e9, memory
        assert sum(found["prefork_worker_cpu_seconds"].values()) > 0
        # They also hold in an upgrade, which adopts the workers.
        pool.send(signal.SIGUSR2)
        until(lambda: pool.events("adopted"))
        pool.serve(2)
        assert pool.value("prefork_workers_ready") == 2


def health(scratch):
    program = (sys.executable, str(SERVER), "silent")
    with Pool(scratch, "-n", "1", "--ready-timeout", "30", program=program) as pool:
        assert until(lambda: pool.page("/healthz"))[0] == 503
        assert pool.page("/nonsense")[0] == 404
    with Pool(scratch, "-n", "1", "--ready-timeout", "30") as pool:
        pool.serve(1)
        assert pool.page("/healthz")[0] == 200


def silent_clients_are_cut_off(scratch):
    with Pool(scratch, "-n", "1", "--ready-timeout", "10") as pool:
        pool.serve(1)
        clients = []
        for _ in range(20):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(pool.monitor))  # waits if too many others do
            client.settimeout(PATIENCE_S)
            clients.append(client)
        half = socket.socket(socket.AF_UNIX)
        half.connect(str(pool.monitor))
        half.sendall(b"GET /metr")
        for client in clients[:16]:
            assert client.recv(1) == b""
        assert pool.page("/healthz")[0] == 200
        cpu = pathlib.Path(f"/proc/{pool.process.pid}/stat").read_text().split()[13:15]
        assert sum(map(int, cpu)) < 50, "the supervisor works while nothing happens"


def log_reader_that_has_gone(scratch):
    read_end, write_end = os.pipe()
    with subprocess.Popen(["prefork", "-n", "1", "--backoff", "0,0", "--", "sh", "-c", "sleep 30"],
                          stderr=write_end, start_new_session=True) as process:
        os.close(write_end)
        os.read(read_end, 1)
        os.close(read_end)
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")

        def child():
            return children.read_text().split()

        (first,) = until(child)
        os.kill(int(first), signal.SIGKILL)
        until(lambda: child() and child() != [first])
        process.terminate()
        assert process.wait(PATIENCE_S) == -signal.SIGTERM


def log_reader_that_sleeps(scratch):
    read_end, write_end = os.pipe()
    command = ["prefork", "-n", "1", "--backoff", "0,0", "--boot-limit", "0", "--max-restarts",
               "2000", "--", "sh", "-c", "exit 1"]
    with subprocess.Popen(command, stderr=write_end, start_new_session=True) as process:
        os.close(write_end)
        assert process.wait(4 * PATIENCE_S) == 1  # though nobody has read
    text = b""
    while part := os.read(read_end, 65536):
        text += part
    os.close(read_end)
    assert all(b"prefork[" in line for line in text.splitlines()), "a line is cut"


def top(scratch):
    rows, columns = 24, 80
    with Pool(scratch, "-n", "3", "--ready-timeout", "10") as pool:
        pids = pool.serve(3).pids()
        master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen(["prefork", "top", str(pool.monitor)], stdout=terminal,
                                   stderr=terminal)
        os.close(terminal)
        screen = pyte.Screen(columns, rows)
        stream = pyte.ByteStream(screen)

        def shows(restarts, pids):
            if select.select([master], [], [], 0.1)[0]:
                stream.feed(os.read(master, 65536))
            text = "\n".join(line.rstrip() for line in screen.display).rstrip()
            return (len(text.splitlines()) == 6 and set(map(str, pids)) <= set(text.split())
                    and f"3 of 3 workers are ready, {restarts} restarts" in text)

        until(lambda: shows(0, pids))
        os.kill(pids[1], signal.SIGKILL)
        until(lambda: pool.serve(3).pids()[1] not in pids)
        until(lambda: shows(1, pool.pids()))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        os.close(master)


def main():
    passed = failed = 0
    scenarios = [restart_with_the_same_id, clean_exit, limit_gives_up,
                 terminated_supervisor_leaves_nobody, killed_supervisor_leaves_nobody,
                 event_order_and_fields, graceful_stop, rolling_reload, resize,
                 shared_listening_socket, metrics, health, silent_clients_are_cut_off,
                 log_reader_that_has_gone, log_reader_that_sleeps, top]
    for scenario in scenarios:
        directory = pathlib.Path(sys.argv[1]) / scenario.__name__
        directory.mkdir()
        try:
            scenario(directory)
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            print(f"  FAIL {scenario.__name__}: {type(error).__name__}: {error}")
            if (directory / "log").exists():
                print((directory / "log").read_text())
        else:
            passed += 1
            print(f"  ok   {scenario.__name__}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
