# SPDX-License-Identifier: MIT
"""Programs that are run, and conditions that are waited for."""

import os
import signal
import subprocess
import sys
import tempfile
import time

DEADLINE = 60.0


def wait_until(condition, what="the condition"):
    """Wait for what is true in the end, and return it."""
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def appended_file():
    """A file without a name. What several processes write to it at a time is all there."""
    fd, path = tempfile.mkstemp()
    os.close(fd)
    file = open(path, "a+")
    os.unlink(path)
    return file


class Program:
    """A Python program in a session of its own, whose output is appended to files."""

    def __init__(self, code, *arguments, **environment):
        self._files = [appended_file() for _ in range(2)]
        # A line of print() is one write only if it is buffered.
        inherited = {name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"}
        command = code if isinstance(code, list) else ["-W", "error", "-c", code]
        self.process = subprocess.Popen(
            [sys.executable, *command, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=self._files[0],
            stderr=self._files[1],
            env={**inherited, **environment},
            start_new_session=True,
        )
        self.pid = self.process.pid

    def _text(self, file):
        # A descriptor of its own: the position of this one is shared with the program.
        with open(f"/proc/self/fd/{file.fileno()}") as copy:
            return copy.read()

    @property
    def out(self):
        return self._text(self._files[0])

    @property
    def err(self):
        return self._text(self._files[1])

    def lines(self, start=""):
        """The whole lines of the output that begin so."""
        whole = self.out.rpartition("\n")[0]
        return [line for line in whole.split("\n") if line.startswith(start) and line]

    def wait_for(self, start, count=1):
        def there():
            lines = self.lines(start)
            assert len(lines) >= count or self.process.poll() is None, self.out + self.err
            return lines if len(lines) >= count else None

        return wait_until(there, f"{count} lines {start!r}")

    def signal(self, number):
        os.kill(self.pid, number)

    def signal_group(self, number):
        os.killpg(self.pid, number)

    def group_is_gone(self):
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def end(self, expected=None):
        """Wait for its end, and for that of everybody that it started."""
        status = self.process.wait(DEADLINE)
        wait_until(self.group_is_gone, "the end of all processes")
        if expected is not None:
            assert status == expected, (status, self.out, self.err)
        return status

    def close(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for file in self._files:
            file.close()
