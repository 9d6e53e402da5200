// SPDX-License-Identifier: MIT
'use strict';
// What the package has of the library is what prefork.json of the installed library says.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { createRequire } = require('node:module');
const { libraryVersion } = require('libprefork');

const packageFile = createRequire(__filename).resolve('libprefork/package.json');
const own = (name) => require(path.join(path.dirname(packageFile), 'lib', name));
const { OLDEST, PROTOTYPES, SONAME } = own('library.js');
const constants = own('constants.js');
const { OTHERS, SETTINGS } = own('settings.js');
const { SETS } = own('signals.js');

const description = JSON.parse(fs.readFileSync(process.env.PREFORK_INTERFACE, 'utf8'));

const TABLES = {
  PF_EVENT_: 'EVENTS', PF_REASON_: 'REASONS', PF_WORKER_: 'WORKER_STATES', PF_COUNT_: 'COUNTERS',
  PF_RESTART_: 'RESTART_POLICIES', PF_LIMIT_: 'LIMIT_ACTIONS', PF_EXIT_: 'EXIT_ACTIONS',
  PF_RELOAD_: 'RELOAD_ORDERS', PF_SIGNALS_: 'SIGNAL_SETS', PF_BACKEND_: 'BACKENDS',
  PF_REAP_: 'ORPHANS', PF_GROUP_: 'GROUP_MODES',
};

function camelCase(name) {
  return name.toLowerCase().replace(/_(.)/g, (_, letter) => letter.toUpperCase());
}

test('each prototype is that of the header', () => {
  assert.ok(Object.keys(PROTOTYPES).length > 70);
  for (const [name, [result, parameters]] of Object.entries(PROTOTYPES)) {
    const described = description.functions[name];
    assert.equal(result, described.returns, name);
    assert.deepEqual(parameters, described.parameters.map(({ type }) => type), name);
  }
});

test('each constant is that of the header', () => {
  for (const [prefix, table] of Object.entries(TABLES)) {
    const expected = Object.fromEntries(Object.entries(description.constants)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, number]) => [camelCase(name.slice(prefix.length)), number]));
    if (prefix === 'PF_REAP_' || prefix === 'PF_GROUP_') {
      expected.none = 0;
    }
    assert.deepEqual(constants[table], expected, table);
  }
  for (const [name, number] of Object.entries(constants.OWN_ERRORS)) {
    assert.equal(number, description.constants[name]);
  }
  for (const name of ['UNLIMITED', 'TASK_SPARE', 'BIND_REUSEPORT']) {
    assert.equal(constants[name], description.constants[`PF_${name}`]);
  }
  assert.deepEqual(Object.keys(SETS), Object.keys(constants.SIGNAL_SETS));
});

// What the package does not use, and why: bindings/README.md has the table.
const UNUSED = [
  // Node cannot fork.
  'pf_fork_processes', 'pf_pool_set_worker_fn', 'pf_pool_set_host_fork', 'pf_pool_fork_prepare',
  'pf_pool_fork_parent', 'pf_pool_fork_child', 'pf_pool_set_thread_policy', 'pf_daemonize', 'pf_daemon_ready',
  // Events are those of an EventEmitter.
  'pf_set_event_callback', 'pf_pool_set_event_callback',
  'pf_pool_set_signals', // Node receives the signals
  'pf_pool_set_stop_fd', // worker.signal needs it
  'pf_pool_wake', // the event loop of Node has its own
  'pf_accept', // server.listen({ fd })
];

test('each function is used or named as unused', () => {
  const missing = Object.keys(description.functions).filter((name) => !(name in PROTOTYPES));
  assert.deepEqual(missing.sort(), [...UNUSED].sort());
});

test('each setting is an option that is described', () => {
  const types = fs.readFileSync(path.join(path.dirname(packageFile), 'index.d.ts'), 'utf8');
  const options = types.match(/interface PoolOptions \{([^]*?)\n\}/)[1];
  const described = [...options.matchAll(/\*\/\n {2}(\w+)\?:/g)].map((match) => match[1]);
  const accepted = [...Object.keys(SETTINGS), ...OTHERS];
  assert.deepEqual(described.sort(), accepted.sort());
  const renamed = { stop: 'stopSignal', exitAction: 'exitActions' };
  for (const name of Object.keys(PROTOTYPES).filter((one) => one.startsWith('pf_pool_set_'))) {
    const setting = camelCase(name.slice('pf_pool_set_'.length));
    assert.ok(accepted.includes(renamed[setting] ?? setting), name);
  }
});

test('the versions agree', () => {
  const { version } = JSON.parse(fs.readFileSync(packageFile, 'utf8'));
  assert.equal(version, description.version);
  assert.equal(libraryVersion(), description.version);
  assert.equal(SONAME, description.soname);
  assert.equal(OLDEST.join('.'), '0.2.0');
});
