<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** Which signals of the supervisor control the pool. */
enum Signals: int
{
    /** None: the program handles them. */
    case None = 0;
    /**
     * TERM: graceful stop. INT, QUIT: graceful stop within a second. A second one of these: kill.
     * HUP: reload. TTIN, TTOU: one worker more, one less. USR1, USR2, WINCH: sent to the workers.
     */
    case Standard = 1;
    /** TERM, INT, QUIT and HUP stop gracefully. */
    case StopOnly = 2;
}
