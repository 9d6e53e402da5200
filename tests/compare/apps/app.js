// SPDX-License-Identifier: MIT
'use strict';
// The application of the peers in Node. It answers with the pid of the worker. As a program it is a
// server by node:cluster, as its documentation has it: a worker that ends is forked again; HUP has
// each worker disconnected once a new one listens; TERM disconnects all.

const { spawn } = require('node:child_process');
const cluster = require('node:cluster');
const fs = require('node:fs');
const http = require('node:http');

const { BALLAST_MIB, FAIL, FOREIGN, PORT, START_MS, WORKERS } = process.env;

/** Serves from START_MS on; the promise is of the server that listens. */
function serve() {
  if (FAIL) {
    process.exit(1);
  }
  const server = http.createServer((request, response) => {
    const body = `hello from pid ${process.pid}\n`;
    response.setHeader('Content-Length', Buffer.byteLength(body));
    response.end(body);
  });
  return new Promise((resolve) => {
    setTimeout(() => {
      server.listen(Number(PORT), '127.0.0.1', () => resolve(server));
    }, Number(START_MS || 0));
  });
}

const next = (emitter, event) => new Promise((resolve) => { emitter.once(event, resolve); });

async function runForeign() {
  const child = spawn('sh', ['-c', 'sleep 0.1; exit 7']);
  fs.writeFileSync(FOREIGN, `${await next(child, 'exit')}\n`);
}

async function reload() {
  for (const old of Object.values(cluster.workers)) {
    await next(cluster.fork(), 'listening');
    old.disconnect();
  }
}

function supervise() {
  supervise.ballast = Buffer.alloc(Number(BALLAST_MIB || 0) * 2 ** 20, 'x');
  if (FOREIGN) {
    runForeign();
  }
  let reloading = Promise.resolve();
  cluster.on('exit', (worker) => {
    if (!worker.exitedAfterDisconnect) {
      cluster.fork();
    }
  });
  process.on('SIGHUP', () => { reloading = reloading.then(reload); });
  process.on('SIGTERM', () => cluster.disconnect(() => process.exit(0)));
  for (let i = 0; i < Number(WORKERS); i += 1) {
    cluster.fork();
  }
}

module.exports = { serve };
if (require.main === module) {
  if (cluster.isPrimary) {
    supervise();
  } else {
    serve();
  }
}
