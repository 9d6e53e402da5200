<?php // SPDX-License-Identifier: MIT
echo "good ", getmypid(), "\n";
