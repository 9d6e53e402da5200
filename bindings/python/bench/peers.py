# SPDX-License-Identifier: MIT
"""Servers that are supervised by others, for measure.sh. They answer with their pid.

    peers.py uvicorn PORT WORKERS   uvicorn --workers, whose command has no supervisor of one worker
    peers.py tornado PORT WORKERS   Tornado's fork_processes
    peers.py loop PORT WORKERS      what programs do that have no supervisor: fork, and wait

``wsgi`` and ``asgi`` are the applications for gunicorn and uvicorn.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import Any, Iterable


def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    body = f"{os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = f"{os.getpid()}\n".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def uvicorn_workers(port: int, workers: int) -> None:
    import uvicorn
    import uvicorn.supervisors

    config = uvicorn.Config("peers:asgi", port=port, workers=workers, access_log=False)
    uvicorn.supervisors.Multiprocess(config, [config.bind_socket()]).run()


def tornado_server(port: int, workers: int) -> None:
    import asyncio

    import tornado.httpserver
    import tornado.netutil
    import tornado.process
    import tornado.web

    class Hello(tornado.web.RequestHandler):
        def get(self) -> None:
            self.write(f"{os.getpid()}\n")

    sockets = tornado.netutil.bind_sockets(port, "127.0.0.1")
    tornado.process.fork_processes(workers, max_restarts=1000)

    async def main() -> None:
        server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Hello)]))
        server.add_sockets(sockets)
        await asyncio.Event().wait()

    asyncio.run(main())


def loop(port: int, workers: int) -> None:
    """HUP ends all workers after the request that each of them answers; so each is replaced."""
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = WSGIServer(("127.0.0.1", port), Quiet)
    server.socket.listen(1024)
    server.set_app(wsgi)
    server.timeout = 0
    server.socket.setblocking(False)
    children: set[int] = set()

    def work() -> None:
        read, write = os.pipe()
        signal.signal(signal.SIGTERM, lambda *_: os.write(write, b"t"))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        while read not in select.select([read, server.fileno()], [], [])[0]:
            server.handle_request()
        os._exit(0)

    def end(*_: object) -> None:
        for pid in children:
            os.kill(pid, signal.SIGTERM)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, lambda *_: [os.kill(pid, signal.SIGTERM) for pid in children])
    while True:
        while len(children) < workers:
            pid = os.fork()
            if pid == 0:
                work()
            children.add(pid)
        children.discard(os.wait()[0])


if __name__ == "__main__":
    run = {"uvicorn": uvicorn_workers, "tornado": tornado_server, "loop": loop}[sys.argv[1]]
    run(int(sys.argv[2]), int(sys.argv[3]))
