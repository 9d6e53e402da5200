<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

use Prefork\Internal\{Descriptor, Library, Libc};

/**
 * What a worker finds out, and what it reports to its supervisor. Except taskId(), poolName() and
 * isWorker() all throw {@see PreforkException} with errno ECHILD in a process that is not a worker.
 */
final class Worker
{
    private function __construct()
    {
    }

    /** The number of this worker, which survives restarts; null in other processes and in a spare. */
    public static function taskId(): ?int
    {
        $task = Library::get()->pf_task_id();
        return $task < 0 ? null : $task;
    }

    /** Whether this process is a worker, or a child of one. */
    public static function isWorker(): bool
    {
        return Library::get()->pf_task_id() !== -1;
    }

    /** The name of the pool that this worker belongs to; null in other processes. */
    public static function poolName(): ?string
    {
        return Library::get()->pf_worker_pool_name();
    }

    /** Reports that this worker can serve. */
    public static function ready(): void
    {
        Library::check(Library::get()->pf_worker_ready(), 'ready');
    }

    /** Reports that this worker makes progress. Cheap: call it in each round of a loop. */
    public static function heartbeat(): void
    {
        Library::check(Library::get()->pf_worker_heartbeat(), 'heartbeat');
    }

    /** Requests a replacement. This worker continues until it is asked to stop. */
    public static function retire(): void
    {
        Library::check(Library::get()->pf_worker_retire(), 'retire');
    }

    /**
     * The descriptor that becomes readable, and stays so, when this worker must stop.
     *
     * A worker that uses it ignores the stop signal, by `pcntl_signal(SIGTERM, SIG_IGN)`, or its
     * pool sends none (`stopSignal: 0`). It belongs to the library.
     */
    public static function stopFd(): int
    {
        return Library::check(Library::get()->pf_worker_stop_fd(), 'stopFd');
    }

    /**
     * A stream for {@see Worker::stopFd()}, for stream_select() and event loops. Do not read it.
     *
     * @return resource
     */
    public static function stopStream()
    {
        return Descriptor::stream(self::stopFd());
    }

    /** Whether this worker must stop. */
    public static function shouldStop(): bool
    {
        return self::waitForStop(0.0);
    }

    /**
     * Waits like sleep() until this worker must stop, for at most some seconds. Returns early
     * after a handler of pcntl_signal has run.
     *
     * @param ?float $seconds null: no limit
     * @return bool whether this worker must stop
     */
    public static function waitForStop(?float $seconds = null): bool
    {
        if ($seconds !== null && !($seconds >= 0 && is_finite($seconds))) {
            throw new InvalidValueException('seconds', 'null, or a number that is not negative', $seconds);
        }
        return Libc::wait(self::stopFd(), $seconds);
    }

    /** The descriptor that the pool has in `fds` under this name. It belongs to the pool. */
    public static function fd(string $name): int
    {
        if (str_contains($name, "\0")) {
            throw new InvalidValueException('name', 'without NUL', $name);
        }
        return Library::check(Library::get()->pf_worker_fd($name), "fd \"$name\"");
    }

    /**
     * A new stream for {@see Worker::fd()}. If that is a listening socket, stream_socket_accept()
     * works on it.
     *
     * @return resource
     */
    public static function stream(string $name)
    {
        return Descriptor::stream(self::fd($name));
    }
}
