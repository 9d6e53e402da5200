// SPDX-License-Identifier: MIT
'use strict';
// Servers on sockets that all workers share, under load.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { createRequire } = require('node:module');
const { bindSockets } = require('libprefork');
const { Program, newFile, until } = require('./support');

const RELOADS = 10;
const packageOf = createRequire(__filename).resolve('libprefork/package.json');
const EXAMPLES = path.join(path.dirname(packageOf), 'examples');
const SOCKETS = path.join(__dirname, 'programs', 'sockets.js');

function freePort() {
  const [fd] = bindSockets({ host: '127.0.0.1', port: 0 });
  const server = net.createServer().listen({ fd });
  return new Promise((resolve) => server.once('listening', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  }));
}

async function readAll(socket) {
  let text = '';
  for await (const chunk of socket) {
    text += chunk;
  }
  return text;
}

async function get(port, url = '/') {
  const request = http.get({ host: '127.0.0.1', port, path: url, agent: false });
  const [response] = await once(request, 'response');
  return { text: await readAll(response), status: response.statusCode, headers: response.headers };
}

test('shared_listening_socket', async () => {
  const place = newFile();
  for (const kind of ['tcp', 'unix']) {
    const program = new Program(SOCKETS, [kind, place]);
    await program.lineMatching(/^ready/, 2);
    const connect = kind === 'tcp'
      ? { host: '127.0.0.1', port: Number((await program.lineMatching(/^port (\d+)/))[0][1]) }
      : { path: place };
    const answers = new Set();
    await until('both workers have answered', async () => {
      const some = Array.from({ length: 8 }, () => readAll(net.connect(connect)));
      (await Promise.all(some)).forEach((answer) => answers.add(answer));
      return answers.size === 2;
    });
    assert.deepEqual([...answers].map((answer) => answer.split(' ')[1]).sort(), ['0', '1']);
    if (kind === 'unix') {
      assert.equal(fs.statSync(place).mode & 0o777, 0o600);
    }
    program.signal('SIGTERM');
    assert.deepEqual(await program.end(), [0, null]);
  }
});

// Answers counted by tests/programs/load.c, or as it does.
class Load {
  constructor(port, kept) {
    this.counts = { answered: 0, lost: 0 };
    if (process.env.LOAD) {
      this.child = spawn(process.env.LOAD, [port, 4, kept ? 'kept' : 'new'].map(String));
      this.output = readAll(this.child.stdout);
      return;
    }
    this.over = false;
    this.clients = Array.from({ length: 4 }, () => this.#ask(port, kept));
  }

  async #ask(port, kept) {
    const agent = new http.Agent({ keepAlive: kept, maxSockets: 1 });
    while (!this.over) {
      try {
        const request = http.get({ host: '127.0.0.1', port, agent });
        const [response] = await once(request, 'response');
        await readAll(response);
        this.counts[response.statusCode === 200 ? 'answered' : 'lost'] += 1;
      } catch {
        this.counts.lost += 1;
      }
    }
    agent.destroy();
  }

  async end() {
    if (this.child === undefined) {
      this.over = true;
      await Promise.all(this.clients);
      return this.counts;
    }
    this.child.kill('SIGTERM');
    const words = (await this.output).split(/\s+/);
    const counts = { answered: 0, lost: 0 };
    for (let i = 0; i + 1 < words.length; i += 2) {
      counts[words[i] === 'answered' ? 'answered' : 'lost'] += Number(words[i + 1]);
    }
    return counts;
  }
}

test('rolling_reload', async () => {
  const port = await freePort();
  const program = new Program(path.join(EXAMPLES, 'hello.js'), [], { PORT: String(port), WORKERS: '2', GRACE_S: '5' });
  await until('both are ready', () => program.errLines(/is ready/).length === 2);
  const { text, status, headers } = await get(port);
  assert.match(text, /^hello from pid \d+, task [01]$/);
  assert.equal(status, 200);
  assert.equal(Number(headers['content-length']), text.length);
  const pids = program.errLines(/started/);
  const loads = [new Load(port, false), new Load(port, true)];
  for (let reload = 1; reload <= RELOADS; reload += 1) {
    program.signal('SIGHUP');
    await until('the reload', () => program.errLines(/^Reloaded/).length === reload);
  }
  for (const load of loads) {
    const counts = await load.end();
    assert.ok(counts.answered > 0);
    assert.equal(counts.lost, 0, `${counts.lost} lost, ${counts.answered} answered`);
  }
  assert.equal(program.errLines(/started/).length, pids.length + 2 * RELOADS);
  program.signal('SIGTERM');
  assert.deepEqual(await program.end(), [null, 'SIGTERM']);
  assert.deepEqual(program.errLines(/killed/), []);
});
