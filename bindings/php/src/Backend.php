<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** How the end of a worker is noticed. */
enum Backend: int
{
    case Auto = 0;
    case Pidfd = 1;
    case Sigchld = 2;
}
