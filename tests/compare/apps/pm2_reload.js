// SPDX-License-Identifier: MIT
'use strict';
// In the process of pm2-runtime: HUP runs `pm2 reload`, for pm2 reloads at a command.

const { spawn } = require('node:child_process');
const cluster = require('node:cluster');
const path = require('node:path');

if (cluster.isPrimary) {
  const pm2 = path.join(path.dirname(process.argv[1]), 'pm2');
  process.on('SIGHUP', () => spawn(process.execPath, [pm2, 'reload', 'app'], { stdio: 'inherit' }));
}
