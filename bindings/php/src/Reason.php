<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** Why a worker was started or stopped, or why the pool ends. */
enum Reason: int
{
    /** The worker ended by itself, or no reason is known. */
    case None = 0;
    case Start = 1;
    /** The worker before it ended. */
    case Restart = 2;
    /** {@see Pool::replaceWorker()}. */
    case Replace = 3;
    case Reload = 4;
    /** The age that the pool allows. */
    case Lifetime = 5;
    /** {@see Worker::retire()}. */
    case Retire = 6;
    case Resize = 7;
    case Stop = 8;
    case ReadyTimeout = 9;
    case HeartbeatTimeout = 10;
    case Limit = 11;
    /** It sent more messages than any correct worker. */
    case Protocol = 12;
    /** The kernel has killed for lack of memory. */
    case OutOfMemory = 13;
}
