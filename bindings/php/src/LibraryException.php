<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** The shared library libprefork was not found, or it is too old. */
final class LibraryException extends PreforkException
{
}
