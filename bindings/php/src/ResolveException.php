<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** The name of a host was not found. */
final class ResolveException extends PreforkException
{
}
