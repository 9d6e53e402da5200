<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

use FFI\CData;

/**
 * A fact about a pool or one of its workers. A field that its type does not have is null, false or 0;
 * pf_event(3) has the table.
 */
final class Event
{
    /**
     * @internal
     * @param ?EventType $type null: a type of a later library; see $name
     * @param string $name the type as a word for logs and metrics, such as "worker_exited"
     * @param int $level as of syslog: LOG_ERR to LOG_DEBUG
     * @param string $message one line of English
     * @param ?int $taskId null: the whole pool, or a spare
     * @param bool $isSpare whether it is about a spare
     * @param ?int $pid the process id of the worker
     * @param ?int $exitCode null: the worker did not exit
     * @param ?int $signal that ended the worker; null: none
     * @param bool $coreDumped whether the worker left a core dump
     * @param bool $willRestart whether the worker is restarted
     * @param int $error a negative code of the library; 0: none
     * @param int $restarts that were counted so far in the pool
     * @param float $delay seconds before the next try
     * @param float $uptime seconds that the worker has lived
     * @param float $time in seconds, of the clock of hrtime()
     * @param float $userTime seconds of processor time in user mode
     * @param float $systemTime seconds of processor time in the kernel
     * @param int $maxRssKib the largest resident set of the worker
     * @param int $workerCount slots of the pool; of Adopted and Stopping, processes; 0: not told
     * @param ?Reason $reason null: a reason of a later library
     */
    public function __construct(
        public readonly ?EventType $type,
        public readonly string $name,
        public readonly int $level,
        public readonly string $message,
        public readonly ?int $taskId,
        public readonly bool $isSpare,
        public readonly ?int $pid,
        public readonly ?int $exitCode,
        public readonly ?int $signal,
        public readonly bool $coreDumped,
        public readonly bool $willRestart,
        public readonly int $error,
        public readonly int $restarts,
        public readonly float $delay,
        public readonly float $uptime,
        public readonly float $time,
        public readonly float $userTime,
        public readonly float $systemTime,
        public readonly int $maxRssKib,
        public readonly int $workerCount,
        public readonly ?Reason $reason,
    ) {
    }

    /** @internal Copies an event of the library, which is valid until the next one. */
    public static function read(\FFI $lib, CData $event): self
    {
        $type = $lib->pf_event_type($event);
        $task = $lib->pf_event_task_id($event);
        $exitCode = $lib->pf_event_exit_code($event);
        return new self(
            EventType::tryFrom($type),
            $lib->pf_event_type_name($type) ?? "event_$type",
            $lib->pf_event_level($event),
            $lib->pf_event_message($event),
            $task < 0 ? null : $task,
            $task === Internal\Library::TASK_SPARE,
            $lib->pf_event_pid($event) ?: null,
            $exitCode < 0 ? null : $exitCode,
            $lib->pf_event_signal($event) ?: null,
            $lib->pf_event_core_dumped($event) !== 0,
            $lib->pf_event_will_restart($event) !== 0,
            $lib->pf_event_error($event),
            $lib->pf_event_restarts($event),
            $lib->pf_event_delay_ms($event) / 1e3,
            $lib->pf_event_uptime_ms($event) / 1e3,
            $lib->pf_event_time_ns($event) / 1e9,
            $lib->pf_event_user_us($event) / 1e6,
            $lib->pf_event_system_us($event) / 1e6,
            $lib->pf_event_max_rss_kib($event),
            $lib->pf_event_worker_count($event),
            Reason::tryFrom($lib->pf_event_reason($event)),
        );
    }
}
