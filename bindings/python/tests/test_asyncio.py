# SPDX-License-Identifier: MIT
"""A pool in the loop of asyncio, and asyncio in its workers."""

import asyncio
import os
import signal

import prefork
import pytest
from prefork import EventType, Pool


def stay(task_id):
    while True:
        signal.pause()


def test_events_come_in_a_loop():
    async def main():
        types = []
        async with Pool(lambda task_id: 0, 3) as pool:
            async for event in pool:
                types.append(event.type)
        return types

    types = asyncio.run(main())
    assert types[0] == EventType.STARTING and types[-1] == EventType.DONE
    assert types.count(EventType.STARTED) == types.count(EventType.EXITED) == 3


def test_the_loop_goes_on_beside_the_pool():
    async def main():
        async with Pool(stay, 2) as pool:
            taken = asyncio.ensure_future(collect(pool))
            while pool.alive_count < 2:
                await asyncio.sleep(0)
            pool.stop()
            return await taken

    async def collect(pool):
        return [event async for event in pool]

    events = asyncio.run(main())
    ends = [event.signal for event in events if event.type == EventType.EXITED]
    assert ends == [signal.SIGTERM, signal.SIGTERM]


def test_leaving_the_block_stops_the_workers():
    async def main():
        async with Pool(stay, 2) as pool:
            async for event in pool:
                if event.type == EventType.STARTED and event.task_id == 1:
                    return [worker.pid for worker in pool.workers()]

    for pid in asyncio.run(main()):
        assert not os.path.exists(f"/proc/{pid}")


def test_a_cancelled_task_leaves_nobody():
    async def main():
        async with Pool(stay, 1) as pool:
            async for event in pool:
                if event.type == EventType.STARTED:
                    asyncio.current_task().cancel()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


def test_failure_is_raised():
    async def main():
        async with Pool(lambda task_id: 1, 1, max_restarts=1) as pool:
            async for _ in pool:
                pass

    with pytest.raises(prefork.GaveUpError):
        asyncio.run(main())


def test_a_worker_can_run_a_loop_of_its_own():
    async def inner():
        await asyncio.sleep(0)
        assert asyncio.current_task() in asyncio.all_tasks()
        return 5

    def work(task_id):
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return asyncio.run(inner())

    async def main():
        async with Pool(work, 2, restart_policy=prefork.RestartPolicy.NEVER) as pool:
            return [event.exit_code async for event in pool if event.type == EventType.EXITED]

    assert asyncio.run(main()) == [5, 5]


def test_signals_of_a_worker_are_not_the_loops():
    # The loop's descriptor for signals is shared by a fork, and its handlers do nothing.
    handled = []

    def work(task_id):
        prefork.ready()
        stay(task_id)

    async def main():
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.add_signal_handler(number, handled.append, number)
        async with Pool(work, 2, ready_timeout=60) as pool:
            ends = []
            async for event in pool:
                if event.type == EventType.READY and event.task_id == 1:
                    pool.send_signal(1, signal.SIGUSR1)
                if event.type == EventType.EXITED:
                    ends.append(event.signal)
                    if len(ends) == 1:
                        pool.stop()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.remove_signal_handler(number)
        return ends

    ends = asyncio.run(main())
    assert ends[0] == signal.SIGUSR1 and set(ends[1:]) <= {signal.SIGTERM}
    assert handled == []


def test_more_events_than_the_queue_holds(monkeypatch):
    monkeypatch.setattr("prefork._aio._EVENTS_MAX", 2)

    async def main():
        async with Pool(lambda task_id: 0, 8) as pool:
            await asyncio.sleep(0.01)
            return [event.type async for event in pool]

    types = asyncio.run(main())
    assert types.count(EventType.EXITED) == 8 and types[-1] == EventType.DONE


def test_iteration_needs_the_block():
    async def main():
        pool = Pool(stay, 1)
        try:
            async for _ in pool:
                pass
        finally:
            pool.close()

    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(main())
