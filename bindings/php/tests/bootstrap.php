<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

require __DIR__ . '/../vendor/autoload.php';
require __DIR__ . '/Program.php';
require __DIR__ . '/ProcessCase.php';
