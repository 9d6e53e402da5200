<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/**
 * What the library refused or failed with. The code is that of the library, which is negative.
 */
class PreforkException extends \RuntimeException
{
    /** The errno, such as `PCNTL_EINVAL`; 0 if the failure is one of the library's own. */
    public readonly int $errno;

    /**
     * @param string $message what failed, and why
     * @param int $code a negative errno, or a code of the library
     */
    public function __construct(string $message, int $code = 0)
    {
        parent::__construct($message, $code);
        $this->errno = $code < 0 && $code > -4096 ? -$code : 0;
    }
}
