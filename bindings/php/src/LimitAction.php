<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** What too many restarts lead to. */
enum LimitAction: int
{
    /** All workers stop, and the pool fails with {@see GaveUpException}. */
    case Stop = 0;
    /** The slot stays empty, and the pool continues. */
    case Degrade = 1;
}
