// SPDX-License-Identifier: MIT
'use strict';
// Servers on shared sockets, bound by the supervisor: sockets.js tcp|unix PATH

const fs = require('node:fs');
const net = require('node:net');
const { Pool, bindSockets, bindUnixSocket, worker } = require('libprefork');

const [, , kind, place] = process.argv;
const fds = kind === 'tcp' ? bindSockets({ host: '127.0.0.1', port: 0, backlog: 64 }) : [bindUnixSocket(place)];

function work(self) {
  const server = net.createServer((socket) => socket.end(`${process.pid} ${self.taskId}`));
  server.listen({ fd: fds[0] }, () => {
    if (kind === 'tcp') {
      console.log(`port ${server.address().port}`);
    }
    self.ready();
  });
  self.on('stop', () => server.close());
}

if (worker.taskId === null) {
  console.log(`socket ${fs.readlinkSync(`/proc/self/fd/${fds[0]}`)}`);
}
const pool = new Pool({ workers: 2, readyTimeout: 60000, signals: 'standard' });
pool.on('ready', (event) => console.log(`ready ${event.taskId}`));
pool.run(work);
