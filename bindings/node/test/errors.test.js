// SPDX-License-Identifier: MIT
'use strict';

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { Pool, PreforkError, bindSockets, bindUnixSocket, dieOfSignal, drain, worker } = require('libprefork');
const { newFile } = require('./support');

test('errors_as_the_languages_own', async () => {
  const refused = [
    [{ workers: 65537 }, RangeError, 'workers must be from 0 to 65536, not 65537'],
    [{ workers: -1 }, RangeError, 'workers must be from 0 to 65536, not -1'],
    [{ workers: '2' }, TypeError, 'workers must be an integer, not "2"'],
    [{ workers: 1.5 }, TypeError, 'workers must be an integer, not 1.5'],
    [{ name: 'x'.repeat(64) }, RangeError, /^name must be at most 63 bytes/],
    [{ name: 7 }, TypeError, 'name must be a string, not 7'],
    [{ restartPolicy: 'often' }, RangeError,
      "restartPolicy must be one of 'onFailure', 'always', 'never', not \"often\""],
    [{ restartPolicy: 'constructor' }, RangeError, /^restartPolicy must be one of/],
    [{ readyTimeout: -1 }, RangeError, /^readyTimeout must be/],
    [{ readyTimeout: '1s' }, TypeError, /^readyTimeout must be a number of milliseconds/],
    [{ backoff: 100 }, TypeError, 'backoff must be an object, not 100'],
    [{ backoff: { firstMs: 100 } }, TypeError, /^backoff.maxMs must be/],
    [{ exitActions: { 256: 'done' } }, RangeError, /^exitActions: 256 must be from 0 to 255/],
    [{ exitActions: { 3: 'end' } }, RangeError, /^exitActions\[3\] must be one of/],
    [{ stopSignal: 'TERM' }, RangeError, 'stopSignal must be the name of a signal, or null, not "TERM"'],
    [{ signals: true }, RangeError, /^signals must be one of/],
    [{ exec: { args: 'x' } }, TypeError, /^exec.args must be an array/],
    [{ exec: { file: 'a\0b' } }, RangeError, /^exec.file must be a string without a zero character/],
    [{ fds: { log: -1 } }, RangeError, /^fds.log must be/],
    [{ managerNotify: 1 }, TypeError, 'managerNotify must be true or false, not 1'],
    [{ worker: 4 }, TypeError, 'worker is not an option of a pool'],
  ];
  for (const [options, kind, message] of refused) {
    assert.throws(() => new Pool(options), (error) => {
      assert.ok(error instanceof kind, `${JSON.stringify(options)}: ${error}`);
      assert.ok(error.code.startsWith('ERR_'));
      assert[typeof message === 'string' ? 'equal' : 'match'](error.message, message);
      return true;
    });
  }
  assert.throws(() => new Pool({ fds: { 'a:b': 0 } }), { code: 'EINVAL', message: /fds: a:b/ });
  assert.throws(() => new Pool({ fds: { log: 1000000 } }), { code: 'EBADF' });

  const pool = new Pool({ workers: 1 });
  for (const [use, code] of [
    [() => pool.stop(), 'EINVAL'], [() => pool.workerCount, 'EINVAL'],
    [() => worker.ready(), 'ECHILD'], [() => worker.fd('x'), 'ECHILD'], [() => worker.signal, 'ECHILD'],
    [() => dieOfSignal('SIGCHLD'), 'EINVAL'],
  ]) {
    assert.throws(use, (error) => error instanceof PreforkError && error.code === code && error.errno < 0);
  }
  assert.throws(() => pool.handleSignal('SIGSEGV'), { code: 'EINVAL', syscall: 'pool.handleSignal' });
  assert.throws(() => pool.counter('all'), RangeError);
  await assert.rejects(pool.run(7), TypeError);
  await assert.rejects(pool.upgrade(), { code: 'EINVAL', syscall: 'pool.upgrade' });
  await assert.rejects(pool.upgrade({ env: 1 }), TypeError);
  pool.close();
  pool.close();
  assert.throws(() => pool.reload(), { message: /the pool is closed/ });

  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  assert.throws(() => bindSockets({ host: '127.0.0.1', port }),
    { code: 'EADDRINUSE', syscall: 'bindSockets', address: '127.0.0.1', port });
  server.close();
  assert.throws(() => bindSockets({ host: 'no.such.host.invalid', port: 0 }), { code: 'PF_ERESOLVE' });
  assert.throws(() => bindSockets({ port: 65536 }), RangeError);
  assert.throws(() => bindSockets({}), TypeError);
  const file = newFile();
  fs.writeFileSync(file, '');
  assert.throws(() => bindUnixSocket(file), { code: 'EEXIST', address: file });
  await assert.rejects(drain(net.createServer(), { graceMs: 'x', signal: null }), TypeError);
});

function load(env) {
  const clean = { ...process.env, NODE_TEST_CONTEXT: undefined, LD_LIBRARY_PATH: undefined, ...env };
  return spawnSync(process.execPath, ['-e', `
    try {
      require('libprefork');
      console.log('loaded');
    } catch (error) {
      console.log(error.code, error.message);
    }`], { env: clean, cwd: __dirname, encoding: 'utf8' }).stdout.trim();
}

function installedLibrary() {
  const maps = fs.readFileSync('/proc/self/maps', 'utf8');
  return maps.match(/\S*libprefork\.so\S*/)[0];
}

test('library_missing_or_too_old', () => {
  const missing = load({ PREFORK_LIBRARY: '/nowhere/libprefork.so.0' });
  assert.match(missing, /^PF_LIBRARY The shared library \/nowhere\/libprefork\.so\.0 cannot be loaded: /);
  assert.match(missing, /Install libprefork .*PREFORK_LIBRARY/);
  assert.equal(load({ PREFORK_LIBRARY: installedLibrary() }), 'loaded');
  assert.equal(load({ LD_LIBRARY_PATH: path.dirname(installedLibrary()) }), 'loaded');

  const old = newFile();
  for (const [source, found] of [
    ['int pf_version_number(void) { return 199; } const char *pf_version(void) { return "0.1.99"; }', '0.1.99'],
    ['int pf_task_id(void) { return -1; }', 'before 0.2.0'],
  ]) {
    execFileSync(process.env.CC ?? 'cc', ['-shared', '-fPIC', '-x', 'c', '-', '-o', old], { input: source });
    assert.match(load({ PREFORK_LIBRARY: old }), new RegExp(
      `^PF_LIBRARY The shared library ${old} has version ${found}, and this package needs 0\\.2\\.0 or later`));
  }
});
