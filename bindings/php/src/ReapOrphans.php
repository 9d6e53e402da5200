<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** Which children are reaped besides the workers, in process 1 or a subreaper. */
enum ReapOrphans: int
{
    case None = 0;
    /** Those that were adopted while the pool itself waited; never one of the program. */
    case Adopted = 1;
    /** Every child that is not a worker, for programs that have no other children. */
    case All = 2;
}
