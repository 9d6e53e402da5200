# SPDX-License-Identifier: MIT
"""The numbers of a pool for Prometheus, by the package prometheus_client.

    metrics.py [-p PORT] [-m METRICS_PORT] [-n WORKERS]

The workers answer on PORT. The supervisor answers GET /metrics on METRICS_PORT in the loop of
asyncio that supervises: it has no thread, beside which no worker would be forked. TERM stops it,
HUP replaces the workers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import select
import socket
from typing import Iterator

import prefork
from prefork import Counter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

GAUGES = {
    Counter.READY: "Workers that are ready",
    Counter.ALIVE: "Processes of workers",
    Counter.SPARES: "Spares that are ready",
}
COUNTERS = {
    Counter.STARTED: "Workers that were started",
    Counter.EXITED: "Workers that have ended",
    Counter.ABNORMAL: "Workers that have ended although nobody asked",
    Counter.RESTARTED: "Workers that were restarted after such an end",
    Counter.START_FAILED: "Starts that have failed",
    Counter.UNRESPONSIVE: "Workers that were killed for they sent no heartbeat",
    Counter.RELOADS: "Reloads that have begun",
    Counter.REPLACE_FAILED: "Replacements that have failed",
}


class PoolCollector:
    """Reads the counters of a pool when somebody asks for the metrics."""

    def __init__(self, pool: prefork.Pool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        for which, value in self._pool.counters().items():
            name = f"prefork_{which.name.lower()}"
            if which in GAUGES:
                yield GaugeMetricFamily(name, GAUGES[which], value=value)
            else:
                yield CounterMetricFamily(name, COUNTERS.get(which, which.name), value=value)
        uptime = GaugeMetricFamily("prefork_uptime_seconds", "Age of a worker", labels=["task"])
        for worker in self._pool.workers():
            uptime.add_metric([str(worker.task_id)], worker.uptime)
        yield uptime


def work(listener: socket.socket) -> None:
    stop = prefork.stop_fd()
    prefork.ready()
    listener.setblocking(False)
    while stop not in select.select([stop, listener.fileno()], [], [])[0]:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            continue  # a sibling has it
        with connection:
            connection.setblocking(True)
            connection.recv(65536)
            body = b"hello from pid %d\n" % os.getpid()
            head = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + body)


async def supervise(pool: prefork.Pool, metrics_port: int) -> None:
    registry = CollectorRegistry()
    registry.register(PoolCollector(pool))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = generate_latest(registry)
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async with pool:
        server = await asyncio.start_server(answer, "127.0.0.1", metrics_port)
        print("metrics on port", server.sockets[0].getsockname()[1], flush=True)
        async for event in pool:
            print(event.message, flush=True)
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", type=int, default=8000, metavar="PORT", dest="port")
    parser.add_argument("-m", type=int, default=9000, metavar="METRICS_PORT", dest="metrics_port")
    parser.add_argument("-n", type=int, default=2, metavar="WORKERS", dest="workers")
    options = parser.parse_args()
    (listener,) = prefork.bind_sockets(options.port, "127.0.0.1")
    print("listening on port", listener.getsockname()[1], flush=True)
    pool = prefork.Pool(
        lambda task_id: work(listener),
        options.workers,
        name="metrics",
        ready_timeout=10,
        stop_signal=0,  # stop_fd() tells the worker
        signals=prefork.Signals.STANDARD,
    )
    asyncio.run(supervise(pool, options.metrics_port))
    if pool.stopped_by is not None:
        prefork.die_of_signal(pool.stopped_by)


if __name__ == "__main__":
    main()
