// SPDX-License-Identifier: MIT
'use strict';
// The workers of the tests: worker.js MODE

const fs = require('node:fs');
const { Worker: Thread } = require('node:worker_threads');
const { Pool, worker } = require('libprefork');

const say = (line) => fs.appendFileSync(process.env.REPORT, `${line}\n`);
const stay = () => setInterval(() => {}, 1000);

const modes = {
  idle(worker) {
    const timer = stay();
    worker.on('stop', () => clearInterval(timer));
    worker.ready();
  },
  plain() {
    stay();
  },
  exit() {
    process.exitCode = Number(process.env.STATUS);
  },
  finish(worker) {
    const timer = stay();
    worker.signal.addEventListener('abort', () => setTimeout(() => {
      say(`finished ${worker.stopping}`);
      clearInterval(timer);
    }, 50));
  },
  async poll(worker) {
    say(`stopping ${worker.stopping}`);
    while (!worker.stopping) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    say('polled');
  },
  deaf(worker) {
    stay();
    worker.on('stop', () => say('asked'));
  },
  retire(worker) {
    this.idle(worker);
    if (!fs.existsSync(`${process.env.REPORT}.retired`)) {
      fs.writeFileSync(`${process.env.REPORT}.retired`, '');
      worker.retire();
    }
  },
  heart(worker) {
    this.idle(worker);
    const isFirst = !fs.existsSync(`${process.env.REPORT}.stopped`);
    fs.writeFileSync(`${process.env.REPORT}.stopped`, '');
    setImmediate(() => worker.heartbeat()); // it has said its task before, which may take longer
    if (!isFirst) {
      setInterval(() => worker.heartbeat(), 50).unref();
    }
  },
  files(worker) {
    this.idle(worker);
    say(`file ${fs.readFileSync(worker.fd('data'), 'utf8')}`);
    try {
      worker.fd('none');
    } catch (error) {
      say(`error ${error.code}`);
    }
  },
  environment(worker) {
    this.idle(worker);
    say(`environment ${Object.keys(process.env).filter((name) => name.startsWith('PF_')).join(' ')}.`);
    say(`standard ${[0, 1, 2].map((fd) => fs.readlinkSync(`/proc/self/fd/${fd}`)).join(' ')}`);
  },
  thread(worker) {
    this.idle(worker);
    const thread = new Thread(`
      const { worker } = require('libprefork');
      const fs = require('node:fs');
      const say = (line) => fs.appendFileSync(process.env.REPORT, line + '\\n');
      worker.ready();
      worker.heartbeat();
      say('thread ' + worker.taskId + ' ' + worker.poolName + ' ' + worker.stopping);
      const timer = setInterval(() => {}, 1000);
      worker.on('stop', () => {
        say('thread stops ' + worker.signal.aborted);
        clearInterval(timer);
      });`, { eval: true, env: process.env });
    thread.on('error', (error) => say(error.message));
  },
  refused(worker) {
    this.idle(worker);
    for (const use of [() => pool.stop(), () => pool.reload(), () => pool.workerCount, () => pool.start()]) {
      try {
        use();
        say('refused no');
      } catch (error) {
        say(`refused ${error.code}`);
      }
    }
  },
};

const STOP = Number(process.env.STOP) || process.env.STOP || 'SIGTERM';
const pool = new Pool({ name: process.env.POOL || '', stopSignal: STOP === 'none' ? null : STOP });
if (process.argv[2] === 'early') {
  modes.early = modes.idle;
  void worker.signal;
}
pool.run((worker) => {
  modes[process.argv[2]](worker);
  say(`task ${worker.taskId} pid ${process.pid}`); // it can be stopped from now on
});
