<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** Other threads run in this process, or they cannot be counted: a fork is not safe. */
final class ThreadsException extends PreforkException
{
}
