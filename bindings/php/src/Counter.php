<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** What {@see Pool::counter()} counts, over the life of the pool or at present. */
enum Counter: int
{
    /** Workers that were started. */
    case Started = 1;
    /** Workers that have ended. */
    case Exited = 2;
    /** Of these: abnormally, without having been asked to end. */
    case Abnormal = 3;
    /** Workers that were started because the one before ended. */
    case Restarted = 4;
    /** Starts that failed. */
    case StartFailed = 5;
    /** Workers that were killed because they did not respond. */
    case Unresponsive = 6;
    /** Reloads that have begun. */
    case Reloads = 7;
    /** Workers that are ready at present. */
    case Ready = 8;
    /** Processes at present, without spares. */
    case Alive = 9;
    /** Replacements that failed. */
    case ReplaceFailed = 10;
    /** Spares at present. */
    case Spares = 11;
}
