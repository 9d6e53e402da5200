<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** What happened. A later library may have more types: {@see Event::$type} is null for those. */
enum EventType: int
{
    /** The pool begins to start its workers. */
    case Starting = 1;
    /** A worker was started. */
    case Started = 2;
    /** A worker reported that it is ready. */
    case Ready = 3;
    /** A worker ended. */
    case Exited = 4;
    /** Too many restarts: all workers stop, or a slot is given up. */
    case GaveUp = 5;
    /** A worker could not be started; tried again later. */
    case StartFailed = 6;
    /** The pool begins to stop its workers. */
    case Stopping = 7;
    /** A worker did not stop in time and was killed. */
    case Killed = 8;
    /** A worker was not ready in time, or sent no heartbeat. */
    case Unresponsive = 9;
    /** A reload begins. */
    case Reloading = 10;
    /** All workers have been replaced. */
    case Reloaded = 11;
    /** A new worker failed; the old one stays. */
    case ReloadFailed = 12;
    /** The pool has another number of slots. */
    case Resized = 13;
    /** The pool has ended; its last event. */
    case Done = 14;
    /** Handled by {@see Pool}, which never yields it. */
    case ForkWanted = 15;
    /** A signal does not control the pool, for the program handles, ignores or blocks it. */
    case SignalUnavailable = 16;
    /** The pool goes on with the workers of the program before {@see Pool::upgrade()}. */
    case Adopted = 17;
    /** A spare was started. */
    case SpareStarted = 18;
    /** A spare ended without having had a slot. */
    case SpareExited = 19;
}
