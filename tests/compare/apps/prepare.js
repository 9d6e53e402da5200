// SPDX-License-Identifier: MIT
// What is measured of bindings/node/examples/hello.js: node --require prepare.js hello.js
'use strict';

const { spawn } = require('node:child_process');
const { writeFileSync } = require('node:fs');

if (process.env.PF_SUPERVISOR !== undefined) { // a worker
  if (process.env.FAIL) {
    process.exit(1);
  }
  const milliseconds = Number(process.env.START_MS ?? 0);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
} else if (process.env.FOREIGN) {
  const child = spawn('sh', ['-c', 'sleep 0.1; exit 7'], { stdio: 'ignore' });
  let status = 'no exit was reported';
  child.on('exit', (code) => { status = String(code); });
  child.on('error', (error) => { status = error.message; });
  setTimeout(() => writeFileSync(process.env.FOREIGN, `${status}\n`), 1000);
}
