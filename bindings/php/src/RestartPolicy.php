<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** Which ends of a worker lead to a restart. */
enum RestartPolicy: int
{
    /** Abnormal ones: a signal, or a status other than 0. */
    case OnFailure = 0;
    case Always = 1;
    case Never = 2;
}
