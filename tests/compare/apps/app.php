<?php

// SPDX-License-Identifier: MIT
// The application for php-fpm.
$body = 'hello from pid ' . getmypid() . "\n";
header('Content-Type: text/plain');
header('Content-Length: ' . strlen($body));
echo $body;
