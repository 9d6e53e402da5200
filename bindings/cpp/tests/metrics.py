"""The example metrics answers with the counters of its pool: metrics.py PROGRAM

SPDX-License-Identifier: MIT
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request


def main():
    held = socket.socket()  # so that nobody else gets the port
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    environment = dict(os.environ, PORT=str(port), WORKERS="3")
    program = subprocess.Popen([sys.argv[1]], env=environment)
    try:
        text = ""
        end = time.monotonic() + 30
        while "prefork_workers_ready 3" not in text and time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
                    text = page.read().decode()
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.02)
        print(text)
        names = re.findall(r"^# TYPE (\S+) (?:counter|gauge)$", text, re.MULTILINE)
        assert len(names) == len(set(names)) == 11, names
        assert "prefork_workers_started_total 3" in text
        program.send_signal(signal.SIGTERM)
        assert program.wait(30) == 0
    finally:
        program.kill()
        program.wait()


main()
