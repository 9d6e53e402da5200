#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// An HTTP server of WORKERS processes on PORT. HUP replaces the workers by the present program, and
// no request is lost. TERM stops it.
'use strict';

const http = require('node:http');
const { Pool, bindSockets, dieOfSignal, drain } = require('libprefork');

const port = Number(process.env.PORT ?? 8080);
const workers = Number(process.env.WORKERS ?? 0); // 0: one for each processor
const spares = Number(process.env.SPARES ?? 0); // workers that have started ahead of need
const graceMs = 1000 * (process.env.GRACE_S ?? 0.5); // for one more request on a connection
const [fd] = bindSockets({ host: '127.0.0.1', port });

async function work(worker) {
  const server = http.createServer((request, response) => {
    const body = `hello from pid ${process.pid}, task ${worker.taskId}`;
    response.setHeader('Content-Type', 'text/plain');
    response.setHeader('Content-Length', Buffer.byteLength(body));
    response.end(body);
  });
  const drained = drain(server, { graceMs });
  server.listen({ fd }, () => worker.ready());
  await drained;
}

async function main() {
  const pool = new Pool({ name: 'hello', workers, spares, readyTimeout: 30000, signals: 'standard' });
  pool.on('event', (event) => console.error(event.message));
  const worker = await pool.run(work);
  if (worker === null && pool.stopSignal !== null) {
    dieOfSignal(pool.stopSignal);
  }
}

main();
