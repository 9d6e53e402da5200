// SPDX-License-Identifier: MIT
'use strict';

const { EventEmitter } = require('node:events');
const { constants } = require('node:os');
const { isMainThread } = require('node:worker_threads');
const { pf } = require('./library');
const { check, text } = require('./errors');
const { ignoreSignal, isReadable } = require('./process');
const { watch } = require('./watch');

const UNHEARD = ['SIGTERM', 'SIGKILL', 'SIGSTOP']; // has its own handler, or can have none
const SIGNAL_MS = 1000; // within which the stop signal follows the stop descriptor

let stopSignal = 0; // of the pool that this worker runs: its name, or a number that Node has no name for
let setStopSignal;

// This process, as a worker. There is one object of this class, which the supervisor has as well.
class Worker extends EventEmitter {
  #controller = new AbortController();
  #watched = null;
  #signalled = false;
  #lingering = null;

  constructor() {
    super();
    super.on('newListener', (name) => {
      if (name === 'stop') {
        this.#watch();
      }
    });
  }

  get taskId() {
    const id = pf.pf_task_id();
    return id === -1 ? null : id;
  }

  get poolName() {
    return pf.pf_worker_pool_name();
  }

  get stopping() {
    if (this.taskId !== null) {
      this.#watch(); // who asks ends by itself
    }
    return this.#controller.signal.aborted;
  }

  get signal() {
    this.#watch();
    return this.#controller.signal;
  }

  get stopFd() {
    return check(pf.pf_worker_stop_fd(), 'worker.stopFd');
  }

  ready() {
    check(pf.pf_worker_ready(), 'worker.ready');
  }

  heartbeat() {
    check(pf.pf_worker_heartbeat(), 'worker.heartbeat');
  }

  retire() {
    check(pf.pf_worker_retire(), 'worker.retire');
  }

  fd(name) {
    return check(pf.pf_worker_fd(text(name, 'name')), 'worker.fd', name);
  }

  // From now on the stop signal is a request, and no longer the end of the process.
  #watch() {
    if (this.#watched !== null) {
      return;
    }
    this.#watched = watch(this.stopFd, () => this.#awaitSignal());
    this.#watched.unref();
    if (isMainThread) {
      process.on('SIGTERM', (name) => this.#receive(name)); // also of the kernel, when the supervisor has ended
      process.on('SIGINT', () => {}); // Ctrl-C reaches the supervisor as well, which stops its workers
      this.#handleStopSignal();
    }
  }

  // It is known when the pool is run, which may be later.
  #handleStopSignal() {
    if (typeof stopSignal === 'number' && stopSignal !== 0) {
      ignoreSignal(stopSignal); // the stop descriptor requests the stop
      stopSignal = 0;
    } else if (stopSignal !== 0 && !UNHEARD.includes(stopSignal)) {
      process.on(stopSignal, (name) => this.#receive(name));
    }
  }

  static {
    setStopSignal = (name) => {
      stopSignal = name;
      if (worker.#watched !== null) {
        worker.#handleStopSignal();
      }
    };
  }

  // The stop descriptor is readable before the signal is sent. If it is not, the signal is somebody's,
  // and the end that it leads to is abnormal: the worker is restarted.
  #receive(name) {
    if (!this.stopping && !isReadable(this.stopFd)) {
      process.exitCode ??= 128 + constants.signals[name];
    }
    this.#signalled = true;
    clearTimeout(this.#lingering);
    this.#stop();
  }

  // While Node ends, the signal has its default action again: a process that ends at once would be
  // killed by it instead.
  #awaitSignal() {
    if (stopSignal !== 0 && isMainThread && !this.#signalled) {
      this.#lingering = setTimeout(() => {}, SIGNAL_MS);
    }
    this.#stop();
  }

  #stop() {
    if (this.stopping) {
      return;
    }
    this.#watched.close(); // it stays readable
    this.#controller.abort();
    this.emit('stop');
  }
}

const worker = new Worker();

module.exports = { Worker, setStopSignal, worker };
