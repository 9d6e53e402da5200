// SPDX-License-Identifier: MIT
'use strict';
// The options of new Pool(), each with the function of the library that it goes to.

const { pf } = require('./library');
const constants = require('./constants');
const {
  check, choice, integer, milliseconds, signalNumber, text, wrongType, wrongValue,
} = require('./errors');

const MOST = 65536;

function object(value, parameter) {
  if (value === null || typeof value !== 'object') {
    throw wrongType(parameter, 'an object', value);
  }
  return value;
}

function flag(value, parameter) {
  if (typeof value !== 'boolean') {
    throw wrongType(parameter, 'true or false', value);
  }
  return Number(value);
}

function descriptorOf(value, parameter) {
  const fd = typeof value === 'object' && value !== null ? value.fd : value;
  return integer(fd, parameter, 0, constants.UNLIMITED);
}

// file, args (without the name of the program) and env, as child_process.spawn takes them, in the
// words of execve. What is missing is that of this program.
function programOf(value, parameter) {
  const { file, args, env } = object(value, parameter);
  const path = file === undefined ? null : text(file, `${parameter}.file`);
  let argv = null;
  if (args !== undefined) {
    if (!Array.isArray(args)) {
      throw wrongType(`${parameter}.args`, 'an array', args);
    }
    const name = path ?? process.argv0;
    argv = [name, ...args.map((word, index) => text(word, `${parameter}.args[${index}]`)), null];
  } else if (path !== null) {
    argv = [path, null];
  }
  let envp = null;
  if (env !== undefined) {
    const set = Object.entries(object(env, `${parameter}.env`)).filter(([, v]) => v !== undefined);
    envp = [...set.map(([name, v]) => `${name}=${text(String(v), `${parameter}.env.${name}`)}`), null];
  }
  return [path, argv, envp];
}

function call(name, ...values) {
  return (pool, parameter, given) =>
    check(pf[name](pool, ...values), 'new Pool', `${parameter}: ${given}`);
}

function ofChoice(name, table) {
  return (value, parameter) => call(name, choice(value, parameter, table));
}

function ofMilliseconds(name) {
  return (value, parameter) => call(name, milliseconds(value, parameter));
}

function ofFlag(name) {
  return (value, parameter) => call(name, flag(value, parameter));
}

function ofNumber(name, least, most = MOST) {
  return (value, parameter) => call(name, integer(value, parameter, least, most));
}

// Each returns what sets it, when the value is good.
const SETTINGS = {
  name(value, parameter) {
    if (Buffer.byteLength(text(value, parameter)) > 63) {
      throw wrongValue(parameter, 'at most 63 bytes', value);
    }
    return call('pf_pool_set_name', value);
  },
  workers: ofNumber('pf_pool_set_workers', 0),
  restartPolicy: ofChoice('pf_pool_set_restart_policy', constants.RESTART_POLICIES),
  maxRestarts(value, parameter) {
    const most = value === Infinity ? constants.UNLIMITED : value;
    return call('pf_pool_set_max_restarts', integer(most, parameter, 0, constants.UNLIMITED));
  },
  restartWindow(value, parameter) {
    const { max, windowMs } = object(value, parameter);
    return call('pf_pool_set_restart_window', integer(max, `${parameter}.max`, 0, MOST),
      milliseconds(windowMs, `${parameter}.windowMs`));
  },
  backoff(value, parameter) {
    const { firstMs, maxMs } = object(value, parameter);
    return call('pf_pool_set_backoff', milliseconds(firstMs, `${parameter}.firstMs`),
      milliseconds(maxMs, `${parameter}.maxMs`));
  },
  bootLimit: ofNumber('pf_pool_set_boot_limit', 0, constants.UNLIMITED),
  limitAction: ofChoice('pf_pool_set_limit_action', constants.LIMIT_ACTIONS),
  exitActions(value, parameter) {
    const all = Object.entries(object(value, parameter)).map(([code, action]) => [
      integer(Number(code), `${parameter}: ${code}`, 0, 255),
      choice(action, `${parameter}[${code}]`, constants.EXIT_ACTIONS),
    ]);
    return (pool) => all.forEach((pair) => call('pf_pool_set_exit_action', ...pair)(pool, parameter, pair));
  },
  readyTimeout: ofMilliseconds('pf_pool_set_ready_timeout'),
  minUptime: ofMilliseconds('pf_pool_set_min_uptime'),
  heartbeatTimeout: ofMilliseconds('pf_pool_set_heartbeat_timeout'),
  lifetime(value, parameter) {
    const { maxMs, jitterMs = 0 } = object(value, parameter);
    return call('pf_pool_set_lifetime', milliseconds(maxMs, `${parameter}.maxMs`),
      milliseconds(jitterMs, `${parameter}.jitterMs`));
  },
  reloadOrder: ofChoice('pf_pool_set_reload_order', constants.RELOAD_ORDERS),
  replaceWidth: ofNumber('pf_pool_set_replace_width', 1),
  processGroups: ofChoice('pf_pool_set_process_groups', constants.GROUP_MODES),
  parentDeathSignal: (value, parameter) =>
    call('pf_pool_set_parent_death_signal', signalNumber(value, parameter, true)),
  reapOrphans: ofChoice('pf_pool_set_reap_orphans', constants.ORPHANS),
  managerNotify: ofFlag('pf_pool_set_manager_notify'),
  backend: ofChoice('pf_pool_set_backend', constants.BACKENDS),
  spares: ofNumber('pf_pool_set_spares', 0),
  foreignWorkers: ofFlag('pf_pool_set_foreign_workers'),
  fds(value, parameter) {
    const all = Object.entries(object(value, parameter)).map(([name, file]) => [
      text(name, parameter), descriptorOf(file, `${parameter}.${name}`),
    ]);
    return (pool) => all.forEach((pair) => call('pf_pool_add_fd', ...pair)(pool, parameter, pair));
  },
};

// These go together to one function, or are used by the binding.
const OTHERS = ['stopSignal', 'stopTimeout', 'signals', 'exec'];

// Applies all options to a pool. Returns those that the binding uses itself.
function apply(pool, options) {
  object(options, 'options');
  for (const [parameter, value] of Object.entries(options)) {
    if (value === undefined) {
      continue;
    }
    if (Object.hasOwn(SETTINGS, parameter)) {
      SETTINGS[parameter](value, parameter)(pool, parameter, value);
    } else if (!OTHERS.includes(parameter)) {
      const error = new TypeError(`${parameter} is not an option of a pool`);
      error.code = 'ERR_INVALID_ARG_VALUE';
      throw error;
    }
  }
  const stopSignal = signalNumber(options.stopSignal === undefined ? 'SIGTERM' : options.stopSignal,
    'stopSignal', true);
  const stopTimeout = milliseconds(options.stopTimeout ?? 10000, 'stopTimeout');
  call('pf_pool_set_stop', stopSignal, stopTimeout)(pool, 'stopSignal', options.stopSignal);
  choice(options.signals ?? 'none', 'signals', constants.SIGNAL_SETS);
  const program = programOf(options.exec ?? {}, 'exec');
  call('pf_pool_set_exec', ...program)(pool, 'exec', program[0]);
  return { name: options.name ?? '', signals: options.signals ?? 'none', stopSignal };
}

module.exports = { MOST, OTHERS, SETTINGS, apply, programOf };
