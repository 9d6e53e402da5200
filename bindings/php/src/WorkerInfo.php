<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** One slot of a pool, as {@see Pool::worker()} found it. */
final class WorkerInfo
{
    /**
     * @internal
     * @param int $taskId the number of the slot
     * @param ?WorkerState $state null: a state of a later library
     * @param ?int $pid null: there is no process at present
     * @param int $restarts that were counted
     * @param float $uptime of the process, in seconds
     */
    public function __construct(
        public readonly int $taskId,
        public readonly ?WorkerState $state,
        public readonly ?int $pid,
        public readonly int $restarts,
        public readonly float $uptime,
    ) {
    }
}
