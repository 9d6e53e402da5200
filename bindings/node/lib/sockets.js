// SPDX-License-Identifier: MIT
'use strict';

const { pf } = require('./library');
const { BIND_REUSEPORT, UNLIMITED } = require('./constants');
const { check, integer, text, wrongType, wrongValue } = require('./errors');

const FAMILIES = new Map([[0, 0], [4, 2], [6, 10]]); // AF_UNSPEC, AF_INET, AF_INET6
const MAX_FDS = 64;
const MAX_PASSED = 1024;

function bindSockets(options) {
  if (options === null || typeof options !== 'object') {
    throw wrongType('options', 'an object', options);
  }
  const { host = null, port, family = 0, backlog = 0, reusePort = false } = options;
  const name = host === null ? null : text(host, 'host');
  integer(port, 'port', 0, 65535);
  integer(backlog, 'backlog', 0, UNLIMITED);
  if (!FAMILIES.has(family)) {
    throw wrongValue('family', '0, 4 or 6', family);
  }
  const fds = new Int32Array(MAX_FDS);
  const count = pf.pf_bind_sockets(name, port, FAMILIES.get(family), backlog,
    reusePort ? BIND_REUSEPORT : 0, fds, MAX_FDS);
  try {
    check(count, 'bindSockets', `${host ?? '*'}:${port}`);
  } catch (error) {
    throw Object.assign(error, { address: host, port });
  }
  return Array.from(fds.subarray(0, count));
}

function bindUnixSocket(path, { mode = 0o600, backlog = 0 } = {}) {
  text(path, 'path');
  integer(mode, 'mode', 0, 0o777);
  integer(backlog, 'backlog', 0, UNLIMITED);
  try {
    return check(pf.pf_bind_unix_socket(path, mode, backlog), 'bindUnixSocket', path);
  } catch (error) {
    throw Object.assign(error, { address: path });
  }
}

function listenFds() {
  const fds = new Int32Array(MAX_PASSED);
  return Array.from(fds.subarray(0, check(pf.pf_listen_fds(fds, MAX_PASSED), 'listenFds')));
}

module.exports = { bindSockets, bindUnixSocket, listenFds };
