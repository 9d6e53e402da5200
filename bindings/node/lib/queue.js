// SPDX-License-Identifier: MIT
'use strict';

// The events of one `for await` loop: those that wait for it, or it waits for them.
class EventQueue {
  #events = [];
  #waiting = []; // of next()
  #end = null; // { error }
  #detach;

  constructor(detach) {
    this.#detach = detach;
  }

  push(event) {
    const waiting = this.#waiting.shift();
    if (waiting) {
      waiting.resolve({ value: event, done: false });
    } else {
      this.#events.push(event);
    }
  }

  end(error) {
    this.#end = { error };
    for (const waiting of this.#waiting.splice(0)) {
      this.#finish(waiting);
    }
  }

  // The first to come after the last event gets the error.
  #finish({ resolve, reject }) {
    const { error } = this.#end;
    this.#end.error = null;
    if (error) {
      reject(error);
    } else {
      resolve({ value: undefined, done: true });
    }
  }

  next() {
    return new Promise((resolve, reject) => {
      if (this.#events.length > 0) {
        resolve({ value: this.#events.shift(), done: false });
      } else if (this.#end) {
        this.#finish({ resolve, reject });
      } else {
        this.#waiting.push({ resolve, reject });
      }
    });
  }

  async return(value) {
    this.#detach();
    this.#events = [];
    this.end(null);
    return { value, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

module.exports = { EventQueue };
