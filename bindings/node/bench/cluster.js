// SPDX-License-Identifier: MIT
'use strict';
// The server of examples/hello.js by node:cluster, as its documentation has it: a worker that ends is
// forked again, and on HUP each worker is disconnected when a new one listens.

const cluster = require('node:cluster');
const http = require('node:http');

const { PORT, WORKERS } = process.env;

function serve() {
  http.createServer((request, response) => {
    const body = `hello from pid ${process.pid}`;
    response.setHeader('Content-Length', Buffer.byteLength(body));
    response.end(body);
  }).listen(Number(PORT), '127.0.0.1');
}

function supervise() {
  let reloading = false;

  cluster.on('exit', (worker) => {
    if (!worker.exitedAfterDisconnect) {
      cluster.fork();
    }
  });

  async function reload() {
    for (const old of Object.values(cluster.workers)) {
      const replacement = cluster.fork();
      await new Promise((resolve) => replacement.once('listening', resolve));
      const exited = new Promise((resolve) => old.once('exit', resolve));
      old.disconnect();
      await exited;
    }
    reloading = false;
  }

  process.on('SIGHUP', () => {
    if (!reloading) {
      reloading = true;
      reload();
    }
  });
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) {
      worker.process.kill();
    }
    process.exit();
  });
  for (let i = 0; i < Number(WORKERS); i += 1) {
    cluster.fork();
  }
}

if (cluster.isPrimary) {
  supervise();
} else {
  serve();
}
