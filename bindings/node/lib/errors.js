// SPDX-License-Identifier: MIT
'use strict';

const { constants } = require('node:os');
const { pf } = require('./library');
const { OWN_ERRORS, nameOf } = require('./constants');

// A failure that the library reports. code: 'EADDRINUSE', 'PF_EGAVEUP' and so on; errno: the
// negative number; syscall: what was called.
class PreforkError extends Error {
  constructor(number, call, subject) {
    const code = nameOf.ownError.get(number) ?? nameOf.errno.get(-number) ?? `E${-number}`;
    super(`${call}: ${subject ? `${subject}: ` : ''}${pf.pf_strerror(number)} (${code})`);
    this.code = code;
    this.errno = number;
    this.syscall = call;
  }

  get name() {
    return this.constructor.name;
  }
}

// The pool had too many restarts, or no worker got ready. No worker is left.
class GaveUpError extends PreforkError {}

// A worker exited with a status of exit action 'fatal'. No worker is left.
class FatalExitError extends PreforkError {}

function errorOf(number, call, subject) {
  switch (number) {
    case OWN_ERRORS.PF_EGAVEUP:
      return new GaveUpError(number, call, subject);
    case OWN_ERRORS.PF_EFATAL:
      return new FatalExitError(number, call, subject);
    default:
      return new PreforkError(number, call, subject);
  }
}

// The result, unless it is a failure.
function check(result, call, subject) {
  if (result < 0) {
    throw errorOf(result, call, subject);
  }
  return result;
}

function shown(value) {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function wrongType(parameter, expected, value) {
  const error = new TypeError(`${parameter} must be ${expected}, not ${shown(value)}`);
  error.code = 'ERR_INVALID_ARG_TYPE';
  return error;
}

function wrongValue(parameter, expected, value) {
  const error = new RangeError(`${parameter} must be ${expected}, not ${shown(value)}`);
  error.code = 'ERR_OUT_OF_RANGE';
  return error;
}

function integer(value, parameter, least, most) {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw wrongType(parameter, 'an integer', value);
  }
  if (value < least || value > most) {
    throw wrongValue(parameter, `from ${least} to ${most}`, value);
  }
  return value;
}

function milliseconds(value, parameter) {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw wrongType(parameter, 'a number of milliseconds', value);
  }
  if (value < 0 || value > Number.MAX_SAFE_INTEGER) {
    throw wrongValue(parameter, 'a number of milliseconds from 0 on', value);
  }
  return Math.ceil(value);
}

function text(value, parameter) {
  if (typeof value !== 'string') {
    throw wrongType(parameter, 'a string', value);
  }
  if (value.includes('\0')) {
    throw wrongValue(parameter, 'a string without a zero character', value);
  }
  return value;
}

function choice(value, parameter, table) {
  if (typeof value !== 'string' || !Object.hasOwn(table, value)) {
    const names = Object.keys(table).map((name) => `'${name}'`);
    throw wrongValue(parameter, `one of ${names.join(', ')}`, value);
  }
  return table[value];
}

// The number of a signal, which is given by its name, or by its number. null: none.
function signalNumber(value, parameter, none = false) {
  if (none && value === null) {
    return 0;
  }
  if (typeof value === 'number') {
    return integer(value, parameter, none ? 0 : 1, 64);
  }
  if (typeof value !== 'string' || !Object.hasOwn(constants.signals, value)) {
    throw wrongValue(parameter, `the name of a signal${none ? ', or null' : ''}`, value);
  }
  return constants.signals[value];
}

module.exports = {
  FatalExitError, GaveUpError, PreforkError, check, choice, errorOf, integer, milliseconds,
  signalNumber, text, wrongType, wrongValue,
};
