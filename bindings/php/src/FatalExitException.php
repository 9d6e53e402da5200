<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

/** A worker exited with a status of {@see ExitAction::Fatal}. No worker is left. */
final class FatalExitException extends PreforkException
{
}
