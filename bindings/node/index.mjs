// SPDX-License-Identifier: MIT
import libprefork from './lib/index.js';

export const {
  FatalExitError, GaveUpError, Pool, PoolEvent, PreforkError, TASK_SPARE, Worker, bindSockets,
  bindUnixSocket, cpuCount, dieOfSignal, drain, libraryVersion, listenFds, worker,
} = libprefork;
export default libprefork;
