#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// The counters of a pool for Prometheus, by prom-client: the supervisor serves them on METRICS_PORT.
'use strict';

const http = require('node:http');
const { Counter, Gauge, Registry } = require('prom-client');
const { Pool, bindSockets, dieOfSignal, drain } = require('libprefork');

const [fd] = bindSockets({ host: '127.0.0.1', port: Number(process.env.PORT ?? 8080) });

const HELP = {
  started: 'Workers that were started',
  exited: 'Workers that have ended',
  abnormal: 'Workers that have ended abnormally',
  restarted: 'Workers that were started after the end of another',
  startFailed: 'Starts that failed',
  unresponsive: 'Workers that were killed because they did not respond',
  reloads: 'Reloads that have begun',
  replaceFailed: 'Replacements that failed',
};
const HELP_NOW = { ready: 'Workers that are ready', alive: 'Processes', spares: 'Spares' };

function registryOf(pool) {
  const registry = new Registry();
  const metricName = (name) => `prefork_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
  for (const [name, help] of Object.entries(HELP)) {
    new Counter({
      name: `${metricName(name)}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(pool.counter(name));
      },
    });
  }
  for (const [name, help] of Object.entries(HELP_NOW)) {
    new Gauge({
      name: metricName(name),
      help,
      registers: [registry],
      collect() {
        this.set(pool.counter(name));
      },
    });
  }
  return registry;
}

function serveMetrics(pool) {
  const registry = registryOf(pool);
  const server = http.createServer(async (request, response) => {
    response.setHeader('Content-Type', registry.contentType);
    response.end(await registry.metrics());
  });
  server.listen(Number(process.env.METRICS_PORT ?? 9100), '127.0.0.1');
  return server;
}

async function work(worker) {
  const server = http.createServer((request, response) => {
    response.end(`hello from pid ${process.pid}, task ${worker.taskId}`);
  });
  const drained = drain(server);
  server.listen({ fd }, () => worker.ready());
  await drained;
}

async function main() {
  const workers = Number(process.env.WORKERS ?? 0);
  const pool = new Pool({ name: 'metrics', workers, readyTimeout: 30000, signals: 'standard' });
  const worker = pool.start();
  if (worker !== null) {
    await work(worker);
    return;
  }
  const metrics = serveMetrics(pool);
  try {
    await pool.run();
  } finally {
    metrics.close();
  }
  if (pool.stopSignal !== null) {
    dieOfSignal(pool.stopSignal);
  }
}

main();
