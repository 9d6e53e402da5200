<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** A parameter has a value that is out of its range. */
final class InvalidValueException extends PreforkException
{
    /**
     * @param string $parameter the name of the parameter, without `$`
     * @param string $range what it may be
     * @param mixed $value what it was
     */
    public function __construct(public readonly string $parameter, string $range, mixed $value)
    {
        $shown = is_scalar($value) ? var_export($value, true) : get_debug_type($value);
        parent::__construct("$parameter must be $range, not $shown", -\PCNTL_EINVAL);
    }
}
