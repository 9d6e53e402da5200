// SPDX-License-Identifier: MIT
'use strict';

module.exports = {
  apps: [{
    name: 'app',
    script: `${__dirname}/pm2.js`,
    exec_mode: 'cluster',
    instances: Number(process.env.WORKERS),
    wait_ready: true,
    listen_timeout: 10000,
    kill_timeout: 3000,
  }],
};
