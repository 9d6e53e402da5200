// SPDX-License-Identifier: MIT
'use strict';
// A pool to which the program has no reference, while garbage is collected.

const vm = require('node:vm');
const v8 = require('node:v8');
const { Pool } = require('libprefork');

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');

function begin() {
  const pool = new Pool({ workers: 2, readyTimeout: 60000 });
  pool.on('done', () => console.log('done'));
  let count = 0;
  pool.on('ready', function ready() {
    count += 1;
    if (count === 2) {
      setTimeout(() => {
        gc();
        console.log(`alive ${this.aliveCount}`);
        this.stop();
      }, 50);
    }
  });
  const self = pool.start();
  if (self !== null) {
    const timer = setInterval(() => {}, 1000);
    self.on('stop', () => clearInterval(timer));
    self.ready();
  }
  return self;
}

if (begin() === null) {
  const timer = setInterval(gc, 5);
  timer.unref();
}
