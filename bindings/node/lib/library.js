// SPDX-License-Identifier: MIT
'use strict';
// The functions of the shared library, as they are in prefork.h.

const koffi = require('koffi');

const SONAME = 'libprefork.so.0';
const OLDEST = [0, 2, 0];

// Name: [result, parameters], in the words of the header.
const PROTOTYPES = {
  pf_task_id: ['int', []],
  pf_cpu_count: ['int', []],
  pf_version: ['const char *', []],
  pf_version_number: ['int', []],
  pf_strerror: ['const char *', ['int']],
  pf_event_type: ['int', ['const pf_event *']],
  pf_event_level: ['int', ['const pf_event *']],
  pf_event_message: ['const char *', ['const pf_event *']],
  pf_event_task_id: ['int', ['const pf_event *']],
  pf_event_pid: ['int32_t', ['const pf_event *']],
  pf_event_exit_code: ['int', ['const pf_event *']],
  pf_event_signal: ['int', ['const pf_event *']],
  pf_event_core_dumped: ['int', ['const pf_event *']],
  pf_event_will_restart: ['int', ['const pf_event *']],
  pf_event_error: ['int', ['const pf_event *']],
  pf_event_restarts: ['int', ['const pf_event *']],
  pf_event_delay_ms: ['uint64_t', ['const pf_event *']],
  pf_event_uptime_ms: ['uint64_t', ['const pf_event *']],
  pf_event_time_ns: ['uint64_t', ['const pf_event *']],
  pf_event_user_us: ['uint64_t', ['const pf_event *']],
  pf_event_system_us: ['uint64_t', ['const pf_event *']],
  pf_event_max_rss_kib: ['uint64_t', ['const pf_event *']],
  pf_event_worker_count: ['int', ['const pf_event *']],
  pf_event_reason: ['int', ['const pf_event *']],
  pf_event_type_name: ['const char *', ['int']],
  pf_pool_new: ['int', ['pf_pool **']],
  pf_pool_free: ['pf_pool *', ['pf_pool *']],
  pf_pool_set_name: ['int', ['pf_pool *', 'const char *']],
  pf_pool_set_workers: ['int', ['pf_pool *', 'int']],
  pf_pool_set_restart_policy: ['int', ['pf_pool *', 'int']],
  pf_pool_set_max_restarts: ['int', ['pf_pool *', 'int']],
  pf_pool_set_restart_window: ['int', ['pf_pool *', 'int', 'uint64_t']],
  pf_pool_set_backoff: ['int', ['pf_pool *', 'uint64_t', 'uint64_t']],
  pf_pool_set_boot_limit: ['int', ['pf_pool *', 'int']],
  pf_pool_set_limit_action: ['int', ['pf_pool *', 'int']],
  pf_pool_set_stop: ['int', ['pf_pool *', 'int', 'uint64_t']],
  pf_pool_set_exit_action: ['int', ['pf_pool *', 'int', 'int']],
  pf_pool_set_ready_timeout: ['int', ['pf_pool *', 'uint64_t']],
  pf_pool_set_min_uptime: ['int', ['pf_pool *', 'uint64_t']],
  pf_pool_set_heartbeat_timeout: ['int', ['pf_pool *', 'uint64_t']],
  pf_pool_set_lifetime: ['int', ['pf_pool *', 'uint64_t', 'uint64_t']],
  pf_pool_set_reload_order: ['int', ['pf_pool *', 'int']],
  pf_pool_set_replace_width: ['int', ['pf_pool *', 'int']],
  pf_pool_set_process_groups: ['int', ['pf_pool *', 'int']],
  pf_pool_set_parent_death_signal: ['int', ['pf_pool *', 'int']],
  pf_pool_set_reap_orphans: ['int', ['pf_pool *', 'int']],
  pf_pool_set_manager_notify: ['int', ['pf_pool *', 'int']],
  pf_pool_set_backend: ['int', ['pf_pool *', 'int']],
  pf_pool_add_fd: ['int', ['pf_pool *', 'const char *', 'int']],
  pf_pool_set_exec: ['int', ['pf_pool *', 'const char *', 'const char *const *', 'const char *const *']],
  pf_pool_set_spares: ['int', ['pf_pool *', 'int']],
  pf_pool_set_foreign_workers: ['int', ['pf_pool *', 'int']],
  pf_pool_run: ['int', ['pf_pool *', 'int *']],
  pf_pool_start: ['int', ['pf_pool *']],
  pf_pool_fd: ['int', ['const pf_pool *']],
  pf_pool_dispatch: ['int', ['pf_pool *', 'int']],
  pf_pool_next_event: ['int', ['pf_pool *', 'const pf_event **']],
  pf_pool_stop: ['int', ['pf_pool *']],
  pf_pool_kill: ['int', ['pf_pool *']],
  pf_pool_reload: ['int', ['pf_pool *']],
  pf_pool_handle_signal: ['int', ['pf_pool *', 'int']],
  pf_pool_resize: ['int', ['pf_pool *', 'int']],
  pf_pool_replace_worker: ['int', ['pf_pool *', 'int']],
  pf_pool_stop_worker: ['int', ['pf_pool *', 'int']],
  pf_pool_send_signal: ['int', ['pf_pool *', 'int', 'int']],
  pf_pool_worker_count: ['int', ['const pf_pool *']],
  pf_pool_alive_count: ['int', ['const pf_pool *']],
  pf_pool_worker_pid: ['int32_t', ['const pf_pool *', 'int']],
  pf_pool_worker_state: ['int', ['const pf_pool *', 'int']],
  pf_pool_worker_restarts: ['int', ['const pf_pool *', 'int']],
  pf_pool_worker_uptime_ms: ['uint64_t', ['const pf_pool *', 'int']],
  pf_pool_counter: ['uint64_t', ['const pf_pool *', 'int']],
  pf_pool_stop_signal: ['int', ['const pf_pool *']],
  pf_upgrade: ['int', ['const char *', 'const char *const *', 'const char *const *']],
  pf_die_of_signal: ['int', ['int']],
  pf_worker_ready: ['int', []],
  pf_worker_heartbeat: ['int', []],
  pf_worker_retire: ['int', []],
  pf_worker_stop_fd: ['int', []],
  pf_worker_fd: ['int', ['const char *']],
  pf_worker_pool_name: ['const char *', []],
  pf_bind_sockets: ['int', ['const char *', 'int', 'int', 'int', 'uint32_t', 'int *', 'int']],
  pf_bind_unix_socket: ['int', ['const char *', 'uint32_t', 'int']],
  pf_listen_fds: ['int', ['int *', 'int']],
};

// Types of koffi have no names here: the package may be loaded twice in a process.
const address = koffi.pointer(koffi.opaque());
const TYPES = {
  'pf_pool *': address,
  'const pf_pool *': address,
  'const pf_event *': address,
  'pf_pool **': koffi.out(koffi.pointer(address)),
  'const pf_event **': koffi.out(koffi.pointer(address)),
  'const char *': 'const char *',
  'const char *const *': 'const char **',
  'int *': koffi.out('int *'),
};

const INSTALL =
  'Install libprefork (make install; ldconfig), or name its file in the environment variable PREFORK_LIBRARY.';

function open(path) {
  try {
    return koffi.load(path);
  } catch (error) {
    const failure = new Error(`The shared library ${path} cannot be loaded: ${error.message}. ${INSTALL}`);
    failure.code = 'PF_LIBRARY';
    failure.cause = error;
    throw failure;
  }
}

function tooOld(path, found) {
  const failure = new Error(
    `The shared library ${path} has version ${found}, and this package needs ${OLDEST.join('.')} or later. ${INSTALL}`,
  );
  failure.code = 'PF_LIBRARY';
  return failure;
}

function load() {
  const path = process.env.PREFORK_LIBRARY || SONAME;
  const library = open(path);
  const declare = (name) => {
    const [result, parameters] = PROTOTYPES[name];
    const typeOf = (type) => TYPES[type] ?? type;
    return library.func(name, typeOf(result), parameters.map(typeOf));
  };
  let number;
  try {
    number = declare('pf_version_number')();
  } catch {
    throw tooOld(path, 'before 0.2.0');
  }
  const [major, minor, patch] = OLDEST;
  if (number < 10000 * major + 100 * minor + patch) {
    throw tooOld(path, declare('pf_version')());
  }
  const functions = {};
  for (const name of Object.keys(PROTOTYPES)) {
    functions[name] = declare(name);
  }
  return functions;
}

module.exports = { OLDEST, PROTOTYPES, SONAME, pf: load() };
