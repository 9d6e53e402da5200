<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** What an exit status of a worker means, whatever the restart policy says. */
enum ExitAction: int
{
    /** The restart policy decides. */
    case Default = 0;
    /** The worker is restarted, and the restart counts. */
    case Restart = 1;
    /** The worker has finished, as with status 0. */
    case Done = 2;
    /** All workers stop, and the pool fails with {@see FatalExitException}. */
    case Fatal = 3;
}
