<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** Whether each worker leads a process group. What is left of it is killed at its end. */
enum ProcessGroups: int
{
    case None = 0;
    /** Each signal of the pool goes to the whole group. */
    case Signals = 1;
    /** Signals go to the worker alone. */
    case Kill = 2;
}
