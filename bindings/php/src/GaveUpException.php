<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** There were too many restarts, or no worker got ready. No worker is left. */
final class GaveUpException extends PreforkException
{
}
