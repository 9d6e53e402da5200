"""One row of one entry, measured in a pid namespace of its own, where this is process 1.

    rows.py ROW ENTRY SETTINGS    SETTINGS is an object in JSON

Prints an object in JSON: for each row that was measured, {"values": [...]} or {"value": {...}}, or
{"failed": reason}. Processes that the entry leaves behind are adopted here, as by an init, and end
with this process. compare.py says what the rows mean.

SPDX-License-Identifier: MIT
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time

from entries import ROOT, Entry

sys.path.insert(0, os.path.join(ROOT, "bindings"))
import measure  # noqa: E402

MOST_PROCESSES = 400
FEW = 3
LEFT_AFTER_S = 2


class Failure(Exception):
    pass


def others():
    """The processes of this namespace besides this one, zombies left out."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
            if pid != os.getpid() and measure.is_alive(pid)]


def comm_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def guard():
    """Ends everything if processes multiply without end."""
    while len(others()) <= MOST_PROCESSES:
        time.sleep(0.2)
    print(json.dumps({"failed": f"more than {MOST_PROCESSES} processes"}), flush=True)
    os._exit(0)


class Server(measure.Server):
    def end(self):
        """Ends everything in the namespace, and reaps it."""
        for pid in others():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(measure.PATIENCE_S)
        try:
            while os.waitpid(-1, 0):
                pass
        except ChildProcessError:
            pass

    def left(self):
        front = self.options.entry.front
        return [pid for pid in others() if front is None or comm_of(pid) != front]

    def has_ended(self):
        self.process.poll()
        return self.process.returncode is not None

    def status(self):
        code = self.process.returncode
        return f"signal {-code}" if code < 0 else f"status {code}"


def options_of(entry, settings):
    options = measure.options_of([entry.name, "--", entry.path, "run"])
    options.entry, options.connections, options.answer = entry, entry.connections, 2
    options.stop = measure.signal_of(entry.head["stop"])
    options.reload = measure.signal_of(entry.reload or "HUP")
    options.workers = entry.workers or settings["workers"]
    options.pause = max(0.1, entry.pause)
    options.kills = FEW if entry.pause else settings["kills"]
    return options


# ---- Times -------------------------------------------------------------------------------


def replacement(options, settings):
    return {"replacement": {"values": measure.replacement_times(options)}}


def slow_start(options, settings):
    """The pause gives a spare the time to start."""
    os.environ["START_MS"] = str(settings["start_ms"])
    options.kills = settings["slow_kills"]
    options.pause = max(options.pause, 0.5 + settings["start_ms"] / 1000)
    return {"slow_start": {"values": measure.replacement_times(options)}}


def ballast(options, settings):
    os.environ["BALLAST_MIB"] = str(settings["ballast_mib"])
    options.kills = settings["slow_kills"]
    return {"ballast": {"values": measure.replacement_times(options)}}


def restarts(options, settings):
    """Whoever answers is killed. Fewer kills than the usual limits of restarts."""
    count, end = 0, None
    with Server(options, options.workers) as server:
        start = time.monotonic()
        while count < settings["restarts"] and time.monotonic() < start + settings["restarts_s"]:
            pid = measure.ask(server.port, options.answer)
            if pid is not None and measure.is_alive(pid):
                os.kill(pid, signal.SIGKILL)
                count += 1
            elif server.has_ended():
                raise Failure(f"the supervisor ended with {server.status()} after {count} kills")
        measure.wait_until("a worker answers after the last kill", server.answers)
        end = time.monotonic()
    return {"restarts": {"values": [count / (end - start)]}}


def start(options, settings):
    """The command until the first answer; then the stop signal until its process has ended."""
    begin = time.monotonic()
    server = Server(options, options.workers)
    try:
        while not server.answers():
            time.sleep(0.001)
        started = time.monotonic() - begin
        measure.wait_until("all workers answer", lambda: len(server.pids()) == options.workers)
        time.sleep(0.1)
        begin = time.monotonic()
        server.process.send_signal(options.stop)
        server.process.wait(measure.PATIENCE_S)
        stopped = time.monotonic() - begin
    finally:
        server.end()
    return {"start": {"values": [1000 * started]}, "stop": {"values": [1000 * stopped]}}


# ---- What is left, kept and lost -----------------------------------------------------------


def count_left(server):
    """Processes that still run 2 s after the supervisor has ended."""
    measure.wait_until("the supervisor ends", server.has_ended)
    time.sleep(LEFT_AFTER_S)
    return {"left": len(server.left()), "ended": server.status()}


def orphans(options, settings):
    found = {}
    for row, number in (("orphans_term", signal.SIGTERM), ("orphans_kill", signal.SIGKILL)):
        with Server(options, options.workers) as server:
            server.process.send_signal(number)
            found[row] = {"value": count_left(server)}
    return found


def orphans_give_up(options, settings):
    """Workers are killed until the supervisor gives up, if it does."""
    kills = 0
    with Server(options, options.workers) as server:
        end = time.monotonic() + settings["give_up_s"]
        while not server.has_ended() and time.monotonic() < end and kills < settings["give_up"]:
            pid = measure.ask(server.port, 0.5)
            if pid is not None and measure.is_alive(pid):
                os.kill(pid, signal.SIGKILL)
                kills += 1
        time.sleep(0.2)
        value = {"kills": kills, "gave_up": server.has_ended()}
        if value["gave_up"]:
            value.update(count_left(server))
    return {"orphans_give_up": {"value": value}}


def foreign(options, settings):
    with tempfile.TemporaryDirectory() as directory:
        file = os.environ["FOREIGN"] = os.path.join(directory, "status")
        os.chmod(directory, 0o777)
        with Server(options, options.workers) as server:
            measure.wait_until("the host has written what it got",
                               lambda: os.path.exists(file) and os.path.getsize(file) > 0
                               or server.has_ended())
            time.sleep(0.1)
        with open(file, encoding="utf-8", errors="replace") as got:
            text = got.read().strip()
    return {"foreign": {"value": {"kept": text == "7", "got": text[:80]}}}


def lost(row, options, step, count):
    """An entry that needs a pause takes minutes for many."""
    count = FEW if options.entry.pause else count
    value = {}
    for way in options.connections:
        options.connections = [way]
        number, total = measure.losses(options, step, count)
        value[way] = {"lost": number, "requests": total, "times": count}
    return {row: {"value": value}}


def lost_reloads(options, settings):
    return lost("lost_reloads", options, measure.Server.reload, settings["reloads"])


def lost_kills(options, settings):
    return lost("lost_kills", options, measure.Server.kill_one, settings["lost_kills"])


# ---- What it costs -------------------------------------------------------------------------


def number_in(path, pattern):
    with open(path, encoding="utf-8", errors="replace") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(pattern))


def usage(pids):
    """CPU in ms, and how often they waited for something."""
    cpu = switches = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            place = f"/proc/{pid}/task/{thread}"
            with open(f"{place}/schedstat", encoding="ascii") as file:
                cpu += int(file.read().split()[0]) / 1e6
            switches += number_in(f"{place}/status", "voluntary_ctxt_switches")
    return cpu, switches


def memory(options, settings):
    """All processes but the workers: their Pss, and what they do in a time without requests."""
    with Server(options, options.workers) as server:
        workers = server.pids()
        time.sleep(2)
        supervisors = [pid for pid in server.left() if pid not in workers]
        size = sum(number_in(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in supervisors)
        before = usage(supervisors)
        time.sleep(settings["idle_s"])
        after = usage(supervisors)
    idle = {"cpu_ms": after[0] - before[0], "wakeups": after[1] - before[1],
            "processes": len(supervisors)}
    return {"memory": {"values": [size]}, "idle": {"value": idle}}


def next_pid():
    """Numbers of a namespace are given one after the other."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return pid


def failing(options, settings):
    """A worker that fails at its start, for some time: processor, processes, lines of log."""
    os.environ["FAIL"] = "1"
    seconds = settings["fail_s"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile() as log:
        Server.output = log
        first = next_pid()
        begin = time.monotonic()
        server = Server(options, 1)
        while not server.has_ended() and time.monotonic() < begin + seconds:
            time.sleep(0.05)
        value = {"gave_up": server.has_ended(), "seconds": time.monotonic() - begin,
                 "ended": server.status() if server.has_ended() else "-"}
        server.end()
        value["pids"] = next_pid() - first - 1
        log.seek(0)
        text = log.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    value.update(cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
                 log_lines=text.count(b"\n"), log_bytes=len(text))
    return {"failing": {"value": value}}


# ---- Process 1 -------------------------------------------------------------------------------


def children_of(parent):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                state, ppid = file.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(ppid) == parent:
            found.append((int(pid), state))
    return found


def pid1(options, settings):
    options.command = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
                       *options.command]
    server = Server(options, options.workers)
    try:  # the pids that it answers are of another namespace
        measure.wait_until("the server answers", server.answers)
        time.sleep(0.5)
        init = (children_of(server.process.pid) or [(0, "X")])[0][0]
        if not measure.is_alive(init):
            raise Failure("as process 1 it ends by itself")
        before = {pid for pid, _ in children_of(init)}
        subprocess.run(["nsenter", "-t", str(init), "-p", "-m", "sh", "-c",
                        "(sleep 0.3; exit 3) >/dev/null 2>&1 &"], check=True)
        time.sleep(0.1)
        adopted = {pid for pid, _ in children_of(init)} - before
        time.sleep(1.5)
        zombies = [pid for pid, state in children_of(init) if pid in adopted and state == "Z"]
        begin = time.monotonic()
        os.kill(init, signal.SIGTERM)
        while measure.is_alive(init) and time.monotonic() < begin + 5:
            time.sleep(0.005)
        value = {"adopted": len(adopted), "reaps": bool(adopted) and not zombies,
                 "term_stops": not measure.is_alive(init),
                 "stop_ms": 1000 * (time.monotonic() - begin)}
    finally:
        server.end()
    return {"pid1": {"value": value}}


MEASUREMENTS = {function.__name__: function for function in (
    replacement, slow_start, ballast, restarts, start, orphans, orphans_give_up, foreign,
    lost_reloads, lost_kills, memory, failing, pid1)}


def main():
    row, name, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    measure.PATIENCE_S = settings["patience_s"]
    measure.Server = Server
    threading.Thread(target=guard, daemon=True).start()
    options = options_of(Entry(name), settings)
    try:
        result = MEASUREMENTS[row](options, settings)
    except (measure.Failure, Failure, OSError, IndexError, KeyError, ValueError, AssertionError,
            subprocess.SubprocessError) as failure:
        result = {"failed": str(failure) or type(failure).__name__}
    print(json.dumps(result), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
