// SPDX-License-Identifier: MIT
// The package as users see it: as an ES module, by the program of its README, with types.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import libprefork, * as named from 'libprefork';
import support from './support.js';

const require = createRequire(import.meta.url);
const { Program, until } = support;
const directory = path.dirname(require.resolve('libprefork/package.json'));
const user = path.dirname(path.dirname(directory));

async function get(port, url = '/') {
  const [response] = await once(http.get({ host: '127.0.0.1', port, path: url, agent: false }), 'response');
  return (await response.toArray()).join('');
}

async function freePort() {
  const server = http.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

test('the ES module exports what the CommonJS module does', () => {
  const exported = require('libprefork');
  assert.equal(libprefork, exported);
  for (const [name, value] of Object.entries(exported)) {
    assert.equal(named[name], value, name);
  }
  assert.deepEqual(Object.keys(named).filter((name) => name !== 'default').sort(), Object.keys(exported).sort());
});

test('koffi comes built from the registry', () => {
  const addon = [...new Set(fs.readFileSync('/proc/self/maps', 'utf8').match(/\S*koffi\.node$/gm))];
  assert.equal(addon.length, 1);
  assert.match(addon[0], /@koromix\/koffi-linux-/);
});

test('the program of the README', async () => {
  const [, code] = fs.readFileSync(path.join(directory, 'README.md'), 'utf8').match(/```js\n([^]*?)```/);
  const port = await freePort();
  const file = path.join(user, 'readme.mjs');
  fs.writeFileSync(file, code.replace('port: 8080', `port: ${port}`).replace('0.0.0.0', '127.0.0.1'));
  const program = new Program(file);
  await until('all are ready', () => program.errLines(/is ready/).length === 4);
  assert.match(await get(port), /^task [0-3]$/);
  program.signal('SIGTERM');
  assert.deepEqual(await program.end(), [null, 'SIGTERM']);
  assert.equal(program.errLines(/ exited normally$/).length, 4, program.err);
});

test('the counters for Prometheus', async () => {
  const [port, metrics] = [await freePort(), await freePort()];
  const program = new Program(path.join(directory, 'examples', 'metrics.js'), [],
    { PORT: String(port), METRICS_PORT: String(metrics), WORKERS: '2' });
  const text = await until('both are ready', async () => {
    const answer = await get(metrics).catch(() => '');
    return answer.includes('\nprefork_ready 2\n') && answer;
  });
  assert.match(text, /^# TYPE prefork_started_total counter\nprefork_started_total 2$/m);
  assert.match(text, /^prefork_start_failed_total 0$/m);
  assert.match(text, /^# HELP prefork_alive Processes\n# TYPE prefork_alive gauge\nprefork_alive 2$/m);
  assert.match(await get(port), /^hello from pid \d+, task [01]$/);
  program.signal('SIGTERM');
  assert.deepEqual(await program.end(), [null, 'SIGTERM']);
});

const CONSUMER = `
const pool: Pool = new Pool({ workers: 2, signals: 'standard', backoff: { firstMs: 1, maxMs: 2 },
  exitActions: { 3: 'fatal' }, fds: { log: 2 }, exec: { args: ['x'] } });
pool.on('exited', (event) => { const pid: number | null = event.pid; event.timeNs satisfies bigint; return pid; });
pool.on('event', (event) => { if (event.type === 'gaveUp') console.log(event.reason?.length); });
export async function main(): Promise<void> {
  const [fd] = bindSockets({ host: '::1', port: 0, family: 6 });
  const mine: Worker | null = await pool.run(async (worker) => {
    const server = createServer();
    const drained: Promise<void> = drain(server, { graceMs: 1 });
    server.listen({ fd }, () => worker.ready());
    worker.signal.addEventListener('abort', () => worker.stopping);
    await drained;
  });
  for await (const event of pool) console.log(event.message, pool.counters().started, mine?.taskId);
  const error: unknown = null;
  if (error instanceof GaveUpError) console.log(error.code, error.errno);
  // @ts-expect-error
  new Pool({ worker: 2 });
  // @ts-expect-error
  pool.resize('2');
}
`;

test('the types, in strict ES and CommonJS modules', () => {
  const names = 'Pool, Worker, GaveUpError, bindSockets, drain';
  fs.writeFileSync(path.join(user, 'consumer.mts'),
    `import { createServer } from 'node:http';\nimport { ${names} } from 'libprefork';\n${CONSUMER}`);
  fs.writeFileSync(path.join(user, 'consumer.cts'),
    `import http = require('node:http');\nimport libprefork = require('libprefork');
const { createServer } = http;\nconst { Pool, GaveUpError, bindSockets, drain } = libprefork;
type Pool = libprefork.Pool;\ntype Worker = libprefork.Worker;\n${CONSUMER}`);
  execFileSync(process.execPath, [require.resolve('typescript/bin/tsc'), '--noEmit', '--strict', '--skipLibCheck',
    'false', '--module', 'node16', '--target', 'es2022', '--types', 'node', 'consumer.mts', 'consumer.cts'],
  { cwd: user, stdio: ['ignore', 'inherit', 'inherit'] });
});
