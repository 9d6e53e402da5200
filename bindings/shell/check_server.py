"""A server that knows nothing of the library, for check.py.

SPDX-License-Identifier: MIT
"""

import os
import selectors
import signal
import socket
import sys

is_over = []
signal.signal(signal.SIGTERM, lambda *_: is_over.append(1))
selector = selectors.DefaultSelector()
for number in range(int(os.environ.get("LISTEN_FDS", 0))):
    assert os.environ["LISTEN_PID"] == str(os.getpid())
    listener = socket.socket(fileno=3 + number)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
if "NOTIFY_SOCKET" in os.environ and "silent" not in sys.argv:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
        notification.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while not is_over:
    for key, _ in selector.select(0.05):
        try:
            client, _ = key.fileobj.accept()
        except BlockingIOError:
            continue
        with client:
            client.settimeout(5)
            client.recv(4096)
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\n%d" % os.getpid())
