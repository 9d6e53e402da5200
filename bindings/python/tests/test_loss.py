# SPDX-License-Identifier: MIT
"""The servers of examples/servers under load: no request is lost in ten reloads."""

import importlib.util
import re
import signal
from pathlib import Path

import pytest

SERVERS = Path(__file__).parent.parent / "examples" / "servers"
RELOADS = 10

# Of the load: each process that answers is told when it does so for the first time.
NOTE = """
lock = threading.Lock()
def note(pid):
    with lock:
        served[0] += 1
        if pid not in pids:
            pids.add(pid)
            os.write(1, b"another process\\n")
"""

HTTP = f"""
import http.client, os, sys, threading, time
port, end = int(sys.argv[1]), sys.argv[2]
served, lost, pids = [0], [], set()
{NOTE}
def client(keeps):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not os.path.exists(end):
        try:
            connection.request("GET", "/", headers=dict() if keeps else dict(Connection="close"))
            answer = connection.getresponse()
            note(answer.read())
            if answer.status != 200:
                lost.append(answer.status)
            time.sleep(0.002)  # others need the processors, too
        except Exception as error:
            lost.append(repr(error))
            connection.close()
threads = [threading.Thread(target=client, args=(n % 2 == 0,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("served", served[0], "by", len(pids), "lost", len(lost), *lost[:5], flush=True)
"""

# A server of gRPC in Python refuses calls from the moment of its stop, before clients have heard
# of it. A channel may then stay without a connection while a call waits. So clients repeat a call
# that fails by another channel. One that fails three times is lost.
GRPC = f"""
import grpc, os, sys, threading
port, end = int(sys.argv[1]), sys.argv[2]
served, lost, pids, failed = [0], [], set(), []
{NOTE}
options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 100),
           ("grpc.max_reconnect_backoff_ms", 1000)]
def client(keeps):
    tries = 0
    while tries or not os.path.exists(end):
        with grpc.insecure_channel("127.0.0.1:%d" % port, options) as channel:
            call = channel.unary_unary("/example.Process/Id")
            for _ in range(200 if keeps else 1):
                try:
                    note(call(b"", timeout=10, wait_for_ready=True))
                    tries = 0
                except grpc.RpcError as error:
                    failed.append(error.code().name)
                    tries = (tries + 1) % 3
                    if tries == 0:
                        lost.append(failed[-1])
                    break
threads = [threading.Thread(target=client, args=(n % 2 == 0,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("served", served[0], "by", len(pids), "lost", len(lost), "repeated", len(failed), flush=True)
"""


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "aiohttp", "waitress", "wsgi", "grpc"])
def test_no_request_is_lost_in_ten_reloads(run, tmp_path, server):
    if server != "wsgi" and importlib.util.find_spec(server) is None:
        pytest.skip(f"there is no {server}")
    program = run([str(SERVERS / f"{server}_server.py"), "-p", "0", "-n", "2"], GRACE_S="1")
    port = int(program.wait_for("listening on port")[0].split()[-1])
    end = tmp_path / "end"
    load = run(GRPC if server == "grpc" else HTTP, port, end)
    load.wait_for("another")
    for reload in range(1, RELOADS + 1):
        seen = len(load.lines("another"))
        program.signal(signal.SIGHUP)
        program.wait_for("Reloaded", reload)
        load.wait_for("another", seen + 1)
    end.touch()
    load.end(0)
    program.signal(signal.SIGTERM)
    program.end(-signal.SIGTERM if server != "grpc" else 0)
    (line,) = load.lines("served")
    print(server, line)
    served, by, lost = map(int, re.findall(r"\d+", line)[:3])
    assert lost == 0, line
    assert served >= by > RELOADS
