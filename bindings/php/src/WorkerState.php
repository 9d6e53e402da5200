<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** The state of a slot. */
enum WorkerState: int
{
    /** There is no worker, and none will be started. */
    case Empty = 0;
    /** Not started or not ready yet. */
    case Starting = 1;
    case Ready = 2;
    /** Asked to end. */
    case Stopping = 3;
    /** Will be restarted after a delay. */
    case Backoff = 4;
    /** Has exited normally, and is not restarted. */
    case Done = 5;
}
