<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

use Prefork\Internal\Library;

/** This process, and the machine. */
final class Process
{
    private function __construct()
    {
    }

    /** The version of the library. */
    public static function libraryVersion(): string
    {
        return Library::get()->pf_version();
    }

    /** The processors that this process may use: its affinity and the quota of its container. */
    public static function cpuCount(): int
    {
        return Library::get()->pf_cpu_count();
    }

    /**
     * Continues as a daemon, in a new session without a terminal. Call it before sockets are bound
     * and pools are made. The launching process exits when all workers are ready.
     *
     * @param ?string $pidFile is written and locked, and removed at the normal end
     * @throws PreforkException with errno EEXIST if a living daemon holds the file, and others
     */
    public static function daemonize(?string $pidFile = null): void
    {
        if ($pidFile !== null && str_contains($pidFile, "\0")) {
            throw new InvalidValueException('pidFile', 'null, or without NUL', $pidFile);
        }
        while (ob_get_level() > 0 && ob_end_flush()) {
        }
        Library::check(Library::get()->pf_daemonize($pidFile), 'daemonize');
    }

    /** Reports to the launching process that the daemon is ready, without waiting for workers. */
    public static function daemonReady(): void
    {
        Library::check(Library::get()->pf_daemon_ready(), 'daemonReady');
    }

    /**
     * Ends this process as a signal would. Shutdown functions and destructors do not run.
     *
     * @param ?int $signal as of {@see Pool::stoppedBy()}; null and 0: returns, and does nothing
     * @throws InvalidValueException if the signal does not end processes
     */
    public static function dieOfSignal(?int $signal): void
    {
        if ($signal !== null && $signal !== 0) {
            $number = Internal\Settings::int32('signal', $signal);
            while (ob_get_level() > 0 && @ob_end_flush()) {
            }
            Internal\Settings::check(Library::get()->pf_die_of_signal($number), 'signal', $signal);
        }
    }
}
