// SPDX-License-Identifier: MIT
'use strict';
// Programs that are run, and conditions that are waited for.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { Pool } = require('libprefork');

const DEADLINE_MS = 60000;
const WORKER = path.join(__dirname, 'programs', 'worker.js');

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'prefork-node-'));
let files = 0;
const programs = new Set();
const pools = new Set();

after(() => {
  programs.forEach((program) => program.kill());
  pools.forEach((pool) => pool.close());
  fs.rmSync(directory, { recursive: true, force: true });
});

function newFile() {
  files += 1;
  return path.join(directory, String(files));
}

async function until(what, condition) {
  const end = performance.now() + DEADLINE_MS;
  for (;;) {
    const value = await condition();
    if (value) {
      return value;
    }
    assert.ok(performance.now() < end, `waited in vain: ${what}`);
    await sleep(5);
  }
}

function linesOf(file) {
  if (!fs.existsSync(file)) {
    return [];
  }
  return fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);
}

function isAlive(pid) {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function membersOfGroup(group) {
  return fs.readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) {
      return false;
    }
    try {
      const [state, , pgrp] = fs.readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1).split(' ');
      return Number(pgrp) === group && state !== 'Z' && state !== 'X';
    } catch {
      return false;
    }
  });
}

// A program in a session of its own, whose output goes to files.
class Program {
  constructor(file, args = [], env = {}) {
    const [out, err] = [newFile(), newFile()];
    const fds = [out, err].map((name) => fs.openSync(name, 'a'));
    this.outFile = out;
    this.errFile = err;
    this.child = spawn(process.execPath, [file, ...args.map(String)], {
      detached: true,
      stdio: ['ignore', ...fds],
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    });
    fds.forEach((fd) => fs.closeSync(fd));
    this.ended = once(this.child, 'exit');
    this.pid = this.child.pid;
    programs.add(this);
  }

  get lines() {
    return linesOf(this.outFile);
  }

  get err() {
    return fs.readFileSync(this.errFile, 'utf8');
  }

  errLines(pattern) {
    return linesOf(this.errFile).filter((line) => pattern.test(line));
  }

  // The lines that match, when there are so many.
  lineMatching(pattern, count = 1) {
    return until(`${count} lines ${pattern}`, () => {
      const found = this.lines.map((line) => line.match(pattern)).filter(Boolean);
      if (found.length < count && (this.child.exitCode ?? this.child.signalCode) !== null) {
        assert.fail(`ended without ${pattern}: ${this.lines.join('\n')}\n${this.err}`);
      }
      return found.length >= count && found;
    });
  }

  signal(name) {
    process.kill(this.pid, name);
  }

  // [status, signal], when nobody is left of its group.
  async end() {
    const [code, signal] = await this.ended;
    await until('the end of all processes', () => membersOfGroup(this.pid).length === 0);
    programs.delete(this);
    return [code, signal];
  }

  kill() {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // nobody is left
    }
  }
}

// A pool of this process, whose workers run programs/worker.js in a mode, and append lines to a file.
class Tested {
  constructor(mode, options = {}, env = {}) {
    this.file = newFile();
    this.events = [];
    this.pool = new Pool({
      exec: {
        args: [WORKER, mode],
        env: { ...process.env, NODE_TEST_CONTEXT: undefined, REPORT: this.file, POOL: options.name, ...env },
      },
      ...options,
    });
    pools.add(this.pool);
    this.pool.on('event', (event) => this.events.push(event));
  }

  run() {
    this.result = this.pool.run();
    this.result.catch(() => {});
    return this;
  }

  lines(pattern, count) {
    return until(`${count} lines ${pattern}`, () => {
      const found = linesOf(this.file).map((line) => line.match(pattern)).filter(Boolean);
      return found.length >= count && found;
    });
  }

  // { task id: pid } of the first workers, or of those after skip others.
  async tasks(count, skip = 0) {
    const found = await this.lines(/^task (\d+) pid (\d+)$/, skip + count);
    return Object.fromEntries(found.slice(skip).map((line) => [Number(line[1]), Number(line[2])]));
  }

  event(type, matches = {}) {
    return until(`event ${type}`, () =>
      this.events.find((event) => event.type === type &&
        Object.entries(matches).every(([name, value]) => event[name] === value)));
  }

  async stop() {
    this.pool.stop();
    return this.result;
  }
}

module.exports = { DEADLINE_MS, Program, Tested, WORKER, isAlive, linesOf, membersOfGroup, newFile, until };
