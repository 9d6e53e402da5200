// SPDX-License-Identifier: MIT
'use strict';
// What is particular to Node, and what the scenarios leave out.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { Pool } = require('libprefork');
const { Program, Tested, WORKER, newFile, until } = require('./support');

const PROGRAMS = path.join(__dirname, 'programs');

test('no thread of libuv is held by a pool that waits', async () => {
  const program = new Program(path.join(PROGRAMS, 'threads.js'), [], { UV_THREADPOOL_SIZE: '1' });
  assert.deepEqual(await program.end(), [0, null]);
  const [read, threads] = program.lines;
  assert.match(read, /^read \d+ files$/);
  assert.equal(threads, 'no more threads');
});

test('a worker that is asked to stop twice ends by its own status', async () => {
  for (let i = 0; i < 5; i += 1) {
    const tested = new Tested('idle', { workers: 2 }).run();
    await tested.tasks(2);
    await tested.stop();
    const exited = tested.events.filter(({ type }) => type === 'exited');
    assert.deepEqual(exited.map(({ exitCode, signal }) => [exitCode, signal]), [[0, null], [0, null]]);
  }
});

test('a worker has no variable of the library, and the standard files of the supervisor', async () => {
  const tested = new Tested('environment', { workers: 1, name: 'env' }).run();
  const [[, variables]] = await tested.lines(/^environment (.*)\.$/, 1);
  assert.equal(variables, '');
  const own = [0, 1, 2].map((fd) => fs.readlinkSync(`/proc/self/fd/${fd}`)).join(' ');
  const [[, theirs]] = await tested.lines(/^standard (.*)$/, 1);
  assert.equal(theirs, own);
  await tested.stop();
});

test('a pool that nobody holds goes on', async () => {
  const program = new Program(path.join(PROGRAMS, 'garbage.js'));
  assert.deepEqual(await program.end(), [0, null]);
  assert.deepEqual(program.lines, ['alive 2', 'done']);
});

test('two pools in a program, beside processes of child_process', async () => {
  const program = new Program(path.join(PROGRAMS, 'two_pools.js'));
  assert.deepEqual(await program.end(), [0, null]);
  const lines = [...program.lines].sort();
  assert.deepEqual(lines, ['child 0', 'child 1', 'child 2', 'done', 'jobs 0', 'web 0', 'web 1', 'wrong EALREADY']);
});

test('each option is accepted', () => {
  const pool = new Pool({
    name: 'all', workers: 2, restartPolicy: 'always', maxRestarts: Infinity,
    restartWindow: { max: 3, windowMs: 1000 }, backoff: { firstMs: 10, maxMs: 100.5 }, bootLimit: 4,
    limitAction: 'degrade', exitActions: { 3: 'fatal', 4: 'done' }, readyTimeout: 1000, minUptime: 0,
    heartbeatTimeout: 1000, lifetime: { maxMs: 60000 }, reloadOrder: 'stopFirst', replaceWidth: 2,
    stopSignal: 'SIGUSR2', stopTimeout: 0, processGroups: 'kill', parentDeathSignal: null,
    reapOrphans: 'adopted', managerNotify: true, backend: 'auto', spares: 1, foreignWorkers: false,
    fds: { out: 1 }, signals: 'stopOnly', exec: { file: '/bin/true', args: [], env: { A: '1' } },
  });
  assert.equal(pool.name, 'all');
  assert.equal(pool.counter('started'), 0);
  pool.close();
});

test('descriptors are found by their names', async () => {
  const name = newFile();
  fs.writeFileSync(name, 'contents');
  const file = await fs.promises.open(name);
  const tested = new Tested('files', { workers: 1, fds: { data: file } }).run();
  await tested.lines(/^file contents$/, 1);
  await tested.lines(/^error ENOENT$/, 1);
  await tested.stop();
  await file.close();
});

test('a worker that retires is replaced', async () => {
  const tested = new Tested('retire', { workers: 1, minUptime: 0, readyTimeout: 60000 }).run();
  await tested.tasks(2).catch(() => {});
  const exited = await tested.event('exited', { taskId: 0 });
  assert.equal(exited.reason, 'retire');
  assert.equal(tested.events.filter(({ type, reason }) => type === 'started' && reason === 'retire').length, 1);
  await tested.stop();
});

test('a worker without heartbeats is replaced', async () => {
  const tested = new Tested('heart', { workers: 1, heartbeatTimeout: 1000 }).run();
  const unresponsive = await tested.event('unresponsive');
  assert.equal(unresponsive.reason, 'heartbeatTimeout');
  assert.equal((await tested.event('exited')).signal, 'SIGABRT');
  await tested.lines(/^task/, 2);
  assert.ok(tested.pool.counter('unresponsive') >= 1); // the second one may stand still, too
  await tested.stop();
});

test('spares take over', async () => {
  const tested = new Tested('idle', { workers: 1, spares: 1, name: 'spare' }).run();
  const before = await tested.tasks(1);
  const spare = await tested.event('spareStarted');
  assert.equal(spare.taskId, -2);
  await until('the spare waits', () => tested.pool.counter('spares') === 1);
  process.kill(before[0], 'SIGKILL');
  const after = await tested.tasks(1, 1);
  assert.equal(after[0], spare.pid);
  tested.pool.setSpares(0);
  await until('no spare', () => tested.pool.counter('spares') === 0);
  await tested.stop();
});

test('foreign programs, and programs that cannot be executed', async () => {
  const pool = new Pool({
    workers: 2, foreignWorkers: true, exec: { file: '/bin/sh', args: ['-c', 'exit $CODE'], env: { CODE: '0' } },
  });
  await pool.run();
  assert.equal(pool.counters().exited, 2);
  pool.close();

  const missing = new Pool({ workers: 1, exec: { file: '/nowhere/program' } });
  await assert.rejects(missing.run(), { code: 'ENOENT' });
});

test('the program of later workers can be changed', async () => {
  const tested = new Tested('plain', { workers: 1 }).run();
  await tested.tasks(1);
  tested.pool.setExec({ args: [WORKER, 'exit'], env: { ...process.env, REPORT: tested.file, STATUS: '0' } });
  tested.pool.sendSignal('SIGKILL');
  await tested.result;
  assert.equal((await tested.lines(/^task/, 2)).length, 2);
});

test('what a listener throws is uncaught, and no event is lost', async () => {
  const tested = new Tested('idle', { workers: 1 });
  const uncaught = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => uncaught.push(error.message));
  tested.pool.on('started', () => {
    throw new Error('of a listener');
  });
  tested.run();
  await tested.tasks(1);
  await tested.stop();
  process.removeAllListeners('uncaughtException');
  before.forEach((listener) => process.on('uncaughtException', listener));
  assert.deepEqual(uncaught, ['of a listener']);
  assert.deepEqual(tested.events.map(({ type }) => type),
    ['starting', 'started', 'stopping', 'exited', 'done']);
});

test('each loop over the events of a pool that fails rejects once, then ends', async () => {
  const { pool } = new Tested('exit', { workers: 1, maxRestarts: 0 }, { STATUS: '3' });
  const before = [pool[Symbol.asyncIterator](), pool[Symbol.asyncIterator]()];
  pool.start();
  const after = await Promise.all(before.map(async (loop) => {
    const types = [];
    await assert.rejects(async () => {
      for await (const { type } of { [Symbol.asyncIterator]: () => loop }) {
        types.push(type);
      }
    }, { code: 'PF_EGAVEUP' });
    assert.deepEqual(await loop.next(), { value: undefined, done: true });
    return types;
  }));
  assert.deepEqual(after[0], after[1]);
  assert.equal(after[0].at(-1), 'done');
  for (const close of [false, true]) {
    if (close) {
      pool.close();
    }
    const late = pool[Symbol.asyncIterator]();
    await assert.rejects(late.next(), { code: 'PF_EGAVEUP' });
    assert.deepEqual(await late.next(), { value: undefined, done: true });
    await assert.rejects(pool.run(), { code: close ? 'EALREADY' : 'PF_EGAVEUP' });
  }
  const unused = new Pool({ workers: 1 });
  const waiting = unused[Symbol.asyncIterator]().next();
  unused.close();
  assert.deepEqual(await waiting, { value: undefined, done: true });
});

test('a loop over events throws what the pool failed with, and can be left', async () => {
  const failing = new Tested('exit', { workers: 1, maxRestarts: 0 }, { STATUS: '3' });
  failing.pool.start();
  await assert.rejects(async () => {
    for await (const event of failing.pool) {
      assert.notEqual(event.type, 'error');
    }
  }, { code: 'PF_EGAVEUP' });

  const tested = new Tested('idle', { workers: 1 }).run();
  for await (const event of tested.pool) {
    if (event.type === 'started') {
      break;
    }
  }
  await tested.stop();
  for await (const event of tested.pool) {
    assert.fail(`after the end: ${event.type}`);
  }
  const closed = new Tested('plain', { workers: 1 }).run();
  await closed.tasks(1);
  closed.pool.close();
  await assert.rejects(closed.result, { code: 'ECANCELED' });
});

test('a pool that is closed by the listener of its last event settles', async () => {
  const tested = new Tested('exit', { workers: 1 }, { STATUS: '0' });
  tested.pool.on('done', () => tested.pool.close());
  let settled = false;
  tested.run().result.finally(() => {
    settled = true;
  });
  await until('run() settles', () => settled);

  const failing = new Tested('exit', { workers: 1, maxRestarts: 0 }, { STATUS: '3' });
  failing.pool.on('done', () => failing.pool.close());
  await assert.rejects(failing.run().result, { code: 'PF_EGAVEUP' });
});

test("somebody's SIGTERM ends a worker, which is restarted", async () => {
  const tested = new Tested('idle', { workers: 1 }).run();
  const { 0: pid } = await tested.tasks(1);
  process.kill(pid, 'SIGTERM');
  const exited = await tested.event('exited', { pid });
  assert.deepEqual([exited.exitCode, exited.willRestart], [128 + 15, true]);
  await tested.tasks(1, 1);
  await tested.stop();
  assert.equal(tested.events.filter(({ exitCode }) => exitCode === 0).length, 1);
});

test('a worker that asks in a loop whether it must stop ends by itself', async () => {
  const tested = new Tested('poll', { workers: 1 }).run();
  await tested.lines(/^stopping false$/, 1);
  await tested.tasks(1);
  await tested.stop();
  const exited = await tested.event('exited');
  assert.deepEqual([exited.exitCode, exited.signal], [0, null]);
  await tested.lines(/^polled$/, 1);
});

test('a worker that has used its signal before it runs the pool knows the stop signal', async () => {
  const tested = new Tested('early', { workers: 1, stopSignal: 'SIGUSR2' }, { STOP: 'SIGUSR2' }).run();
  await tested.tasks(1);
  await tested.stop();
  const exited = await tested.event('exited');
  assert.deepEqual([exited.exitCode, exited.signal], [0, null]);
});

test('a program may end while its pool runs, and its workers end too', async () => {
  for (const [mode, status] of [['unref', 0], ['exit', 5], ['throw', 1]]) {
    const program = new Program(path.join(PROGRAMS, 'ends.js'), [mode]);
    assert.deepEqual(await program.end(), [status, null], `${mode}: ${program.err}`);
    assert.equal(program.err.includes('FATAL'), false);
  }
});

test('a worker that ends while it is asked to stop keeps its status', async () => {
  const program = new Program(path.join(PROGRAMS, 'ends.js'), ['worker']);
  assert.deepEqual(await program.end(), [0, null], program.err);
  assert.equal(program.lines.includes('exited null SIGABRT'), false, program.err);
});

test('a thread of a worker reports, and notices the stop', async () => {
  const tested = new Tested('thread', { workers: 1, name: 'threads', readyTimeout: 60000 }).run();
  await tested.lines(/^thread 0 threads false$/, 1);
  await tested.tasks(1);
  await tested.stop();
  assert.equal((await tested.event('exited')).exitCode, 0);
  await tested.lines(/^thread stops true$/, 1);
});

test('a stop signal that Node has no name for requests a stop', async () => {
  for (const [stopSignal, early] of [[40, false], [64, true]]) {
    const tested = new Tested(early ? 'early' : 'idle', { workers: 1, stopSignal, readyTimeout: 60000 },
      { STOP: String(stopSignal) }).run();
    const { pid } = await tested.event('ready');
    if (!early) {
      tested.pool.sendSignal(41);
      assert.equal((await tested.event('exited', { pid })).signal, 'SIG41'); // another is no request
      await until('a new worker', () => tested.pool.counter('ready') === 1);
    }
    await tested.stop();
    const ends = tested.events.filter(({ type }) => type === 'exited').map(({ exitCode, signal }) => exitCode ?? signal);
    assert.deepEqual(ends, early ? [0] : ['SIG41', 0]);
  }
});

test('a worker that cannot listen to its stop signal still has a request', async () => {
  const tested = new Tested('idle', { workers: 1, stopSignal: 'SIGKILL' }, { STOP: 'SIGKILL' }).run();
  await tested.tasks(1);
  await tested.stop();
  assert.deepEqual(tested.events.filter(({ type }) => type === 'exited').length, 1);
  assert.equal(tested.pool.counter('restarted'), 0);
});

async function ask(port) {
  const [response] = await once(http.get({ host: '127.0.0.1', port, agent: false }), 'response');
  return (await response.toArray()).join('');
}

test('an upgrade keeps the process, the workers and the socket', async () => {
  const program = new Program(path.join(PROGRAMS, 'upgrade.js'));
  const [[, supervisor]] = await program.lineMatching(/^supervisor (\d+) generation 1/);
  await program.lineMatching(/^event ready/, 2);
  const [[, port]] = await program.lineMatching(/^port (\d+)/);
  assert.match(await ask(port), / 1$/);
  program.signal('SIGPROF');
  await program.lineMatching(/^failed ENOENT/);
  for (const generation of [2, 3]) {
    program.signal('SIGALRM');
    const [[, pid, output]] = await program.lineMatching(
      new RegExp(`^supervisor (\\d+) generation ${generation} output (.*)$`));
    assert.equal(pid, supervisor);
    assert.notEqual(output, '/dev/null');
    await program.lineMatching(/^event adopted/, generation - 1);
    await program.lineMatching(/^event reloaded/, generation - 1);
    await until('only new workers answer', async () => (await ask(port)).endsWith(` ${generation}`));
  }
  assert.deepEqual(blocked(supervisor), []);
  program.signal('SIGTERM');
  assert.deepEqual(await program.end(), [0, null]);
});

// Signals that the main thread of a process blocks.
function blocked(pid) {
  const [, mask] = fs.readFileSync(`/proc/${pid}/status`, 'utf8').match(/^SigBlk:\s*([0-9a-f]+)$/m);
  return [...Array(64).keys()].filter((bit) => (BigInt(`0x${mask}`) >> BigInt(bit)) & 1n);
}

test('signals control the pool while it runs, and have their default action afterwards', async () => {
  const tested = new Tested('idle', { workers: 1, signals: 'standard' }).run();
  assert.equal(process.listenerCount('SIGHUP'), 1);
  await tested.tasks(1);
  process.kill(process.pid, 'SIGHUP');
  await tested.event('reloading');
  process.kill(process.pid, 'SIGTERM');
  await tested.result;
  assert.equal(tested.pool.stopSignal, 'SIGTERM');
  assert.equal(process.listenerCount('SIGHUP') + process.listenerCount('SIGTERM'), 0);
});
