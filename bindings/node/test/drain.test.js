// SPDX-License-Identifier: MIT
'use strict';
// The end of an HTTP server, connection by connection.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');
const { test } = require('node:test');
const { drain } = require('libprefork');
const { newFile, until } = require('./support');

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

async function connect(open) {
  const socket = open();
  await once(socket, socket.encrypted ? 'secureConnect' : 'connect');
  socket.text = '';
  socket.ended = false;
  socket.on('data', (data) => {
    socket.text += data;
  });
  socket.on('close', () => {
    socket.ended = true;
  });
  return socket;
}

async function drainsWithoutLoss(server, open) {
  const held = [];
  server.on('request', (request, response) => {
    const answer = () => response.end('answer');
    if (request.url === '/slow') {
      held.push(answer);
    } else {
      answer();
    }
  });
  const controller = new AbortController();
  let drained = false;
  const end = drain(server, { signal: controller.signal, graceMs: 5000 }).then(() => {
    drained = true;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const [idle, silent, late, slow, partial] = await Promise.all([...Array(5)].map(() => connect(() => open(port))));
  for (const socket of [idle, late]) {
    socket.write(REQUEST);
    await until('an answer', () => socket.text.endsWith('answer'));
    assert.doesNotMatch(socket.text, /Connection: close/i);
  }
  slow.write(REQUEST.replace('/', '/slow'));
  partial.write('GET / HTTP/1.1\r\n');
  await until('the slow request', () => held.length === 1);

  controller.abort();
  await until('it accepts no more', () => !server.listening);
  await assert.rejects(connect(() => open(port)), { code: 'ECONNREFUSED' });
  late.text = '';
  late.write(REQUEST);
  await until('the late answer', () => late.ended);
  assert.match(late.text, /Connection: close[^]*answer/i);
  await until('the idle connections end', () => idle.ended && silent.ended);
  assert.equal(drained, false); // the slow request, and a half
  assert.equal(partial.ended, false);
  partial.write('Host: x\r\n\r\n');
  await until('the answer to a request in two parts', () => partial.ended);
  assert.match(partial.text, /Connection: close[^]*answer/i);
  held[0]();
  await until('the slow answer', () => slow.ended);
  assert.match(slow.text, /Connection: close[^]*answer/i);
  await end;
}

test('a server of HTTP is drained without loss', async () => {
  await drainsWithoutLoss(http.createServer(), (port) => net.connect(port, '127.0.0.1'));
});

test('a request that came while the process did not run is answered', async () => {
  const server = http.createServer((request, response) => response.end('answer'));
  const controller = new AbortController();
  const end = drain(server, { signal: controller.signal, graceMs: 5000 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const socket = await connect(() => net.connect(port, '127.0.0.1'));
  socket.write(REQUEST);
  await until('an answer', () => socket.text.endsWith('answer'));
  socket.text = '';
  controller.abort();
  await until('it accepts no more', () => !server.listening);
  socket.write(REQUEST);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5500); // longer than the grace
  await until('the end', () => socket.ended);
  assert.match(socket.text, /Connection: close[^]*answer/i);
  await end;
});

test('a server of HTTPS is drained without loss', async () => {
  const [key, cert] = [newFile(), newFile()];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
    '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=localhost'], { stdio: 'ignore' });
  const server = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) });
  await drainsWithoutLoss(server, (port) =>
    tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }));
});
