<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** Whether a replacement starts the new worker before it stops the old one. */
enum ReloadOrder: int
{
    case StartFirst = 0;
    /** The pool never has more processes than slots. */
    case StopFirst = 1;
}
