// SPDX-License-Identifier: MIT
'use strict';
// A supervisor that ALRM upgrades: upgrade.js GENERATION

const fs = require('node:fs');
const http = require('node:http');
const { Pool, bindSockets, drain, worker } = require('libprefork');

const [, , generation = '1'] = process.argv;
const [fd] = bindSockets({ host: '127.0.0.1', port: 0 });
const say = (line) => console.log(line);

async function work(self) {
  const server = http.createServer((request, response) => response.end(`${process.pid} ${generation}`));
  const drained = drain(server);
  server.listen({ fd }, () => {
    say(`port ${server.address().port}`);
    self.ready();
  });
  await drained;
}

const pool = new Pool({ name: 'up', workers: 2, readyTimeout: 60000, signals: 'standard' });
pool.on('event', (event) => say(`event ${event.type} ${event.taskId}`));
pool.on('adopted', () => pool.reload());
if (worker.taskId === null) {
  say(`supervisor ${process.pid} generation ${generation} output ${fs.readlinkSync('/proc/self/fd/1')}`);
  const upgrade = (program) => pool.upgrade(program).catch((error) => say(`failed ${error.code}`));
  process.on('SIGALRM', () => upgrade({ args: [__filename, String(Number(generation) + 1)] }));
  process.on('SIGPROF', () => upgrade({ file: '/nowhere/node' }));
}
pool.run(work);
