// SPDX-License-Identifier: MIT
'use strict';
// pm2-runtime with bench/app.js in cluster mode. HUP is `pm2 reload`, TERM its end.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const os = require('node:os');
const path = require('node:path');

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'pm2-'));
const env = { ...process.env, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true' };
const bin = path.join(path.dirname(createRequire(path.join(process.cwd(), 'x')).resolve('pm2/package.json')), 'bin');
const config = path.join(home, 'app.config.js');
fs.writeFileSync(config, `module.exports = { apps: [${JSON.stringify({
  name: 'app', script: path.join(__dirname, 'app.js'), exec_mode: 'cluster',
  instances: Number(process.env.WORKERS), wait_ready: true, listen_timeout: 30000,
})}] };`);

const run = (program, ...args) => spawn(process.execPath, [path.join(bin, program), ...args], { env, stdio: 'inherit' });
const runtime = run('pm2-runtime', 'start', config);
process.on('SIGHUP', () => run('pm2', 'reload', 'app'));
process.on('SIGTERM', () => runtime.kill('SIGTERM'));
runtime.on('exit', (status) => {
  fs.rmSync(home, { recursive: true, force: true });
  process.exit(status ?? 1);
});
