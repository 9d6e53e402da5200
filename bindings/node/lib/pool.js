// SPDX-License-Identifier: MIT
'use strict';

const { EventEmitter } = require('node:events');
const { setImmediate: nextTurn } = require('node:timers/promises');
const { isMainThread } = require('node:worker_threads');
const { pf } = require('./library');
const { COUNTERS, nameOf } = require('./constants');
const {
  check, choice, errorOf, integer, signalNumber, wrongType,
} = require('./errors');
const { PoolEvent } = require('./event');
const { EventQueue } = require('./queue');
const { MOST, apply, programOf } = require('./settings');
const { beginUpgrade } = require('./process');
const { receive } = require('./signals');
const { setStopSignal, worker } = require('./worker');
const { watch } = require('./watch');

const { errno } = require('node:os').constants;

const EALREADY = -errno.EALREADY;
const EINVAL = -errno.EINVAL;
const POLL_MS = 20; // where the system refuses a timer, and the pool has no descriptor
const ALL = -1;

const handles = new FinalizationRegistry((handle) => pf.pf_pool_free(handle));

class Pool extends EventEmitter {
  #handle;
  #options;
  #state = 'new'; // running, done, worker, closed
  #watched = null;
  #stopReceiving = () => {};
  #stopSignal = null; // one that the library does not know of
  #queues = new Set();
  #finished;
  #settle;
  #failure = null;

  constructor(options = {}) {
    super();
    if (!isMainThread) {
      const error = new Error('A Pool belongs to the main thread, and cannot be made in a worker thread');
      error.code = 'ERR_WORKER_UNSUPPORTED_OPERATION';
      throw error;
    }
    const out = [null];
    check(pf.pf_pool_new(out), 'new Pool');
    [this.#handle] = out;
    handles.register(this, this.#handle, this);
    try {
      this.#options = apply(this.#handle, options);
    } catch (error) {
      this.#free();
      throw error;
    }
    this.#finished = new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve(null));
    });
    this.#finished.catch(() => {}); // who waits for it gets the error
  }

  // ---- The life of a pool ----

  start() {
    if (this.#state !== 'new') {
      throw errorOf(EALREADY, 'pool.start');
    }
    const result = pf.pf_pool_start(this.#open('start'));
    if (result === EALREADY) {
      return this.#becomeWorker();
    }
    check(result, 'pool.start');
    this.#state = 'running';
    this.#stopReceiving = receive(this.#options.signals, (name) => this.#receive(name));
    const fd = pf.pf_pool_fd(this.#handle);
    if (fd >= 0) {
      this.#watched = watch(fd, () => this.#turn());
    } else {
      const timer = setInterval(() => this.#turn(), POLL_MS);
      this.#watched = { close: () => clearInterval(timer), ref: () => timer.ref(), unref: () => timer.unref() };
    }
    return null;
  }

  async run(work) {
    if (work !== undefined && typeof work !== 'function') {
      throw wrongType('work', 'a function', work);
    }
    if (this.#state !== 'running' && this.#state !== 'done') {
      const self = this.start();
      if (self !== null) {
        await work?.(self);
        return self;
      }
    }
    return this.#finished;
  }

  // A worker by exec, in which the library waits for no one, or as a spare for its slot.
  #becomeWorker() {
    const taskId = [0];
    check(pf.pf_pool_run(this.#handle, taskId), 'pool.start');
    this.#state = 'worker';
    const { stopSignal } = this.#options;
    setStopSignal(nameOf.signal.get(stopSignal) ?? stopSignal);
    return worker;
  }

  close() {
    if (this.#state === 'closed') {
      return;
    }
    const before = this.#state;
    this.#leave();
    this.#state = 'closed';
    this.#free();
    if (before === 'running') {
      this.#end(errorOf(-errno.ECANCELED, 'pool.close'));
    } else if (before === 'new') {
      this.#end(null);
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    if (this.#state === 'running') {
      this.stop();
      await this.#finished.catch(() => {});
    }
    this.close();
  }

  #free() {
    handles.unregister(this);
    pf.pf_pool_free(this.#handle);
    this.#handle = null;
  }

  #open(method) {
    if (this.#handle === null) {
      throw errorOf(EINVAL, `pool.${method}`, 'the pool is closed');
    }
    if (this.#state === 'worker') {
      throw errorOf(-errno.ECHILD, `pool.${method}`, 'this process is a worker of the pool');
    }
    return this.#handle;
  }

  #call(method, name, subject, ...values) {
    return check(pf[name](this.#open(method), ...values), `pool.${method}`, subject);
  }

  // ---- Supervising ----

  #turn() {
    const result = pf.pf_pool_dispatch(this.#handle, 0);
    if (result !== 1) {
      this.#leave();
      this.#state = 'done';
    }
    this.#deliver();
    if (result !== 1) { // also if a listener has closed the pool
      this.#end(result < 0 ? errorOf(result, 'pool.run') : null);
    }
  }

  #deliver() {
    const out = [null];
    while (this.#handle !== null && pf.pf_pool_next_event(this.#handle, out) === 1) {
      const event = new PoolEvent(out[0]);
      for (const queue of this.#queues) {
        queue.push(event);
      }
      const heard = this.#emit('event', event);
      if (!this.#emit(event.type, event) && !heard && this.#queues.size === 0 && isWarning(event)) {
        console.error(`prefork: ${event.message}`);
      }
    }
  }

  // What a listener throws is uncaught, as anywhere in Node, but the other events are delivered.
  #emit(name, event) {
    try {
      return this.emit(name, event);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
      return true;
    }
  }

  #leave() {
    this.#watched?.close();
    this.#watched = null;
    this.#stopReceiving();
    this.#stopReceiving = () => {};
  }

  #end(error) {
    this.#failure = error;
    this.#settle(error);
    for (const queue of this.#queues) {
      queue.end(error);
    }
    this.#queues.clear();
  }

  #receive(name) {
    if (this.#options.signals === 'stopOnly') {
      this.#stopSignal ??= name;
      this.stop();
    } else {
      this.handleSignal(name);
    }
  }

  [Symbol.asyncIterator]() {
    const queue = new EventQueue(() => this.#queues.delete(queue));
    if (this.#state === 'worker') {
      this.#open('events'); // a worker has none
    }
    if (this.#state === 'done' || this.#state === 'closed') {
      queue.end(this.#failure);
    } else {
      this.#queues.add(queue);
    }
    return queue;
  }

  ref() {
    this.#watched?.ref();
    return this;
  }

  unref() {
    this.#watched?.unref();
    return this;
  }

  // ---- Control ----

  stop() {
    this.#call('stop', 'pf_pool_stop', null);
  }

  kill() {
    this.#call('kill', 'pf_pool_kill', null);
  }

  reload() {
    this.#call('reload', 'pf_pool_reload', null);
  }

  handleSignal(signal) {
    this.#call('handleSignal', 'pf_pool_handle_signal', signal, signalNumber(signal, 'signal'));
  }

  resize(count) {
    this.#call('resize', 'pf_pool_resize', count, integer(count, 'count', 1, MOST));
  }

  setSpares(count) {
    this.#call('setSpares', 'pf_pool_set_spares', count, integer(count, 'count', 0, MOST));
  }

  setExec(program) {
    const [path, argv, envp] = programOf(program, 'program');
    this.#call('setExec', 'pf_pool_set_exec', path, path, argv, envp);
  }

  replaceWorker(taskId) {
    this.#call('replaceWorker', 'pf_pool_replace_worker', taskId, task(taskId));
  }

  stopWorker(taskId) {
    this.#call('stopWorker', 'pf_pool_stop_worker', taskId, task(taskId));
  }

  sendSignal(signal, taskId = null) {
    const id = taskId === null ? ALL : task(taskId);
    this.#call('sendSignal', 'pf_pool_send_signal', signal, id, signalNumber(signal, 'signal'));
  }

  // Two turns of the event loop, so that signals which Node has received are handed to the pool before
  // this program is gone.
  async upgrade(program = {}) {
    const [path, argv, envp] = programOf(program, 'program');
    for (let turn = 0; turn < 2; turn += 1) {
      this.#open('upgrade');
      if (this.#state !== 'running') {
        throw errorOf(EINVAL, 'pool.upgrade', 'the pool does not run');
      }
      await nextTurn();
    }
    if (this.#state === 'running') {
      this.#turn(); // the library upgrades when no event waits
    }
    this.#open('upgrade');
    const restore = beginUpgrade();
    const result = pf.pf_upgrade(path, argv, envp);
    restore();
    check(result, 'pool.upgrade', path);
  }

  // ---- State ----

  get name() {
    return this.#options.name;
  }

  get workerCount() {
    return this.#call('workerCount', 'pf_pool_worker_count', null);
  }

  get aliveCount() {
    return this.#call('aliveCount', 'pf_pool_alive_count', null);
  }

  get stopSignal() {
    const number = pf.pf_pool_stop_signal(this.#open('stopSignal'));
    return this.#stopSignal ?? (number > 0 ? nameOf.signal.get(number) : null);
  }

  worker(taskId) {
    const id = task(taskId);
    const state = this.#call('worker', 'pf_pool_worker_state', taskId, id);
    const pid = pf.pf_pool_worker_pid(this.#handle, id);
    return {
      taskId,
      pid: pid > 0 ? pid : null,
      state: nameOf.state.get(state) ?? `state${state}`,
      restarts: pf.pf_pool_worker_restarts(this.#handle, id),
      uptimeMs: Number(pf.pf_pool_worker_uptime_ms(this.#handle, id)),
    };
  }

  workers() {
    return Array.from({ length: this.workerCount }, (_, taskId) => this.worker(taskId));
  }

  counter(name) {
    return Number(pf.pf_pool_counter(this.#open('counter'), choice(name, 'name', COUNTERS)));
  }

  counters() {
    return Object.fromEntries(Object.keys(COUNTERS).map((name) => [name, this.counter(name)]));
  }
}

function task(taskId) {
  return integer(taskId, 'taskId', 0, MOST - 1);
}

function isWarning(event) {
  return event.level === 'warning' || event.level === 'error';
}

module.exports = { Pool };
