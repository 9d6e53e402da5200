// SPDX-License-Identifier: MIT
'use strict';

const net = require('node:net');
const tls = require('node:tls');
const { once } = require('node:events');
const { milliseconds } = require('./errors');
const { worker } = require('./worker');

const LOOK_MS = 10;

// Knows which connections of an HTTP server have a request under way.
class Connections {
  #all = new Map(); // socket: requests under way, bytes that earlier requests had
  closing = false;

  constructor(server) {
    server.on(server instanceof tls.Server ? 'secureConnection' : 'connection', (socket) => {
      this.#all.set(socket, { active: 0, done: 0 });
      socket.once('close', () => this.#all.delete(socket));
    });
    server.prependListener('request', (request, response) => this.#count(request.socket, response));
  }

  #count(socket, response) {
    const state = this.#all.get(socket);
    if (state === undefined) {
      return; // it was accepted before
    }
    state.active += 1;
    state.response = response;
    this.#closeAfter(response);
    response.once('close', () => {
      state.active -= 1;
      state.done = socket.bytesRead;
    });
  }

  // The client is told to send nothing more on this connection.
  #closeAfter(response) {
    if (this.closing && !response.headersSent) {
      response.shouldKeepAlive = false;
    }
  }

  close() {
    this.closing = true;
    for (const { active, response } of this.#all.values()) {
      if (active > 0) {
        this.#closeAfter(response);
      }
    }
  }

  destroyIdle() {
    for (const [socket, { active, done }] of this.#all) {
      if (active === 0 && socket.bytesRead === done) {
        socket.destroy();
      }
    }
  }

  get size() {
    return this.#all.size;
  }
}

// Then what has arrived meanwhile is read: timers come before that in a turn of the event loop.
async function sleep(ms) {
  await new Promise((resolve) => setTimeout(resolve, ms));
  await new Promise((resolve) => setImmediate(resolve));
}

// Call it before the server listens.
async function drain(server, { signal = worker.signal, graceMs = 500 } = {}) {
  milliseconds(graceMs, 'graceMs');
  const connections = new Connections(server);
  if (!signal.aborted) {
    await once(signal, 'abort');
  }
  // close() of an HTTP server would also close connections on which a request is on its way.
  if (server.listening) {
    net.Server.prototype.close.call(server);
  }
  connections.close();
  const end = performance.now() + graceMs;
  while (connections.size > 0 && performance.now() < end) {
    await sleep(LOOK_MS);
  }
  while (connections.size > 0) {
    connections.destroyIdle();
    await sleep(LOOK_MS);
  }
  server.close(() => {}); // ends its timers
}

module.exports = { drain };
