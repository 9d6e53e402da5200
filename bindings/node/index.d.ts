// SPDX-License-Identifier: MIT
/// <reference types="node" />
import { EventEmitter } from 'node:events';
import { Server } from 'node:net';

export type SignalName = NodeJS.Signals;

/** What happened. Programs ignore types that they do not know: later libraries have more. */
export type EventType =
  | 'starting' | 'started' | 'ready' | 'exited' | 'gaveUp' | 'startFailed' | 'stopping' | 'killed'
  | 'unresponsive' | 'reloading' | 'reloaded' | 'reloadFailed' | 'resized' | 'done' | 'forkWanted'
  | 'signalUnavailable' | 'adopted' | 'spareStarted' | 'spareExited';

/** Why a worker was started or stopped, or why the pool ends. */
export type Reason =
  | 'start' | 'restart' | 'replace' | 'reload' | 'lifetime' | 'retire' | 'resize' | 'stop'
  | 'readyTimeout' | 'heartbeatTimeout' | 'limit' | 'protocol' | 'outOfMemory';

export type WorkerState = 'empty' | 'starting' | 'ready' | 'stopping' | 'backoff' | 'done';

export type Counter =
  | 'started' | 'exited' | 'abnormal' | 'restarted' | 'startFailed' | 'unresponsive' | 'reloads'
  | 'ready' | 'alive' | 'replaceFailed' | 'spares';

/** A fact about the pool or one worker. The fields that its type does not have are null, false or 0. */
export class PoolEvent {
  private constructor();
  readonly type: EventType;
  readonly level: 'error' | 'warning' | 'notice' | 'info' | 'debug';
  /** One line in English. */
  readonly message: string;
  /** null: the whole pool. {@link TASK_SPARE}: a spare. */
  readonly taskId: number | null;
  readonly pid: number | null;
  readonly exitCode: number | null;
  /** The signal that ended the worker. */
  readonly signal: SignalName | null;
  readonly coreDumped: boolean;
  readonly willRestart: boolean;
  readonly error: PreforkError | null;
  readonly reason: Reason | null;
  /** Restarts that the pool has counted so far. */
  readonly restarts: number;
  /** Slots; of 'adopted' and 'stopping', processes. */
  readonly workerCount: number | null;
  /** Before the next start. */
  readonly delayMs: number;
  readonly uptimeMs: number;
  /** CLOCK_MONOTONIC, as process.hrtime.bigint() has it. */
  readonly timeNs: bigint;
  readonly userUs: number;
  readonly systemUs: number;
  readonly maxRssKib: number;
}

/** A program, as child_process.spawn() takes it. What is missing is that of this program. */
export interface Program {
  /** The path; PATH is not searched. */
  file?: string;
  /** Without the name of the program. */
  args?: readonly string[];
  env?: Record<string, string | undefined>;
}

/** Durations are in milliseconds. */
export interface PoolOptions {
  /** Tells several pools of a program apart; at most 63 bytes; default ''. */
  name?: string;
  /** Slots to start with, at most 65,536. 0, the default: one for each processor. */
  workers?: number;
  /** Which ends lead to a restart; default 'onFailure'. */
  restartPolicy?: 'onFailure' | 'always' | 'never';
  /** Restarts in the life of the pool, over all slots; default 100; Infinity: no limit. */
  maxRestarts?: number;
  /** Restarts in any window; default: no such limit. */
  restartWindow?: { max: number; windowMs: number };
  /** The delay before a restart, which doubles for each slot from first to max; default: none. */
  backoff?: { firstMs: number; maxMs: number };
  /** How many workers may end in a row before they are ready, while none is ready; default 0: any. */
  bootLimit?: number;
  /** At a limit of restarts, stop all and fail, the default, or leave the slot empty. */
  limitAction?: 'stop' | 'degrade';
  /** What an exit status, 0 to 255, means, whatever the restart policy says. */
  exitActions?: Record<number, 'default' | 'restart' | 'done' | 'fatal'>;
  /** The time in which a worker calls ready(). 0, the default: it is ready when it has started. */
  readyTimeout?: number;
  /** How long a worker must live to count as started well; default 1,000. */
  minUptime?: number;
  /** The longest time between two heartbeats; default 0: none are expected. */
  heartbeatTimeout?: number;
  /** The age at which a worker is replaced, and a random part; default: never. */
  lifetime?: { maxMs: number; jitterMs?: number };
  /** Whether a replacement is started before the old worker is stopped, the default, or after. */
  reloadOrder?: 'startFirst' | 'stopFirst';
  /** How many slots are replaced at a time; default 1. */
  replaceWidth?: number;
  /**
   * The signal that asks a worker to stop; default 'SIGTERM'; null: only worker.signal tells. Node cannot listen to
   * a real-time signal: a worker ignores that one from the first use of worker.signal, which tells then.
   */
  stopSignal?: SignalName | number | null;
  /** The time after which a worker is killed that was asked to stop; default 10,000; 0: never. */
  stopTimeout?: number;
  /** Whether each worker leads a process group, and who gets its signals; default 'none'. */
  processGroups?: 'none' | 'signals' | 'kill';
  /** The signal that a worker gets when the supervisor has ended; default 'SIGTERM'; null: none. */
  parentDeathSignal?: SignalName | number | null;
  /** Which children besides the workers are reaped, in process 1 or a subreaper; default 'none'. */
  reapOrphans?: 'none' | 'adopted' | 'all';
  /** Whether systemd is told of readiness, reloads and the stop; default false. */
  managerNotify?: boolean;
  /** How the end of a worker is noticed; default 'auto'. 'sigchld' takes SIGCHLD from child_process. */
  backend?: 'auto' | 'pidfd' | 'sigchld';
  /** Workers that are started ahead of need, and wait in run() or start(); default 0. */
  spares?: number;
  /** Whether the program of exec does not use this package for this pool; default false. */
  foreignWorkers?: boolean;
  /** Open files that each worker finds by worker.fd(name). They stay open while the pool exists. */
  fds?: Record<string, number | { fd: number }>;
  /**
   * Which signals to this process control the pool; default 'none'. 'standard': TERM: graceful
   * stop. INT, QUIT: graceful stop within 1,000 ms. A second one of these: kill. HUP: reload.
   * TTIN, TTOU, without a terminal: one slot more, one less. USR1, USR2, WINCH: sent to the
   * workers. 'stopOnly': TERM, INT, QUIT and HUP stop gracefully.
   */
  signals?: 'none' | 'standard' | 'stopOnly';
  /** The program of the workers; default: this one, with its arguments. */
  exec?: Program;
}

export interface WorkerInfo {
  taskId: number;
  pid: number | null;
  state: WorkerState;
  restarts: number;
  uptimeMs: number;
}

/** The events of a pool: those of its types, and 'event' for all. */
export type PoolEventMap = { [type in EventType | 'event']: [event: PoolEvent] };

/**
 * A pool of worker processes, which this process supervises from Node's event loop. It belongs to the
 * main thread, and is used once.
 *
 * Each worker is this program, started anew. What stands before run() or start() is executed by the
 * supervisor and by each worker. Events of level warning and worse that nobody listens to are written
 * to stderr. Methods throw {@link PreforkError}, and TypeError or RangeError for a bad value.
 */
export class Pool extends EventEmitter {
  /** @throws TypeError, RangeError, whose message names the option. */
  constructor(options?: PoolOptions);
  /**
   * Start the workers, and supervise them.
   *
   * In a worker: calls work, and resolves with {@link worker} when the result of work has settled. In the
   * supervisor: resolves with null when the pool is done. Rejects with {@link GaveUpError},
   * {@link FatalExitError} or another {@link PreforkError}; no worker is left then. The pool keeps the
   * event loop alive; in a worker your servers do.
   *
   * A program with several pools gives them names. In a worker it runs the pool whose name is
   * worker.poolName: others fail with EALREADY there.
   */
  run(work?: (worker: Worker) => unknown): Promise<Worker | null>;
  /** Start the pool, without waiting for its end. Returns {@link worker} in a worker, and else null. */
  start(): Worker | null;
  /** Free the pool. Workers that are alive are killed first. */
  close(): void;
  /** Stop the workers gracefully. */
  stop(): void;
  /** Stop the workers by SIGKILL. */
  kill(): void;
  /** Replace all workers, one after the other. */
  reload(): void;
  /** Do what 'standard' of the option signals has for a signal. */
  handleSignal(signal: SignalName | number): void;
  /** Change the number of slots, 1 to 65,536. Of too many, those with the highest task ids are stopped. */
  resize(count: number): void;
  setSpares(count: number): void;
  /** The program of workers that are started from now on. */
  setExec(program: Program): void;
  /** Replace one worker, which is not a restart. */
  replaceWorker(taskId: number): void;
  /** Stop one worker gracefully, and leave its slot empty until replaceWorker(). */
  stopWorker(taskId: number): void;
  /** Send a signal to one worker, or to all. This is not a request to stop. */
  sendSignal(signal: SignalName | number, taskId?: number | null): void;
  /**
   * Execute another program, or this one anew, in this process, which keeps its id, workers and sockets.
   * There a pool with the same name goes on with the workers; reload() replaces them. It settles only
   * by an error: the pool goes on then. Files, timers and connections of this program are gone.
   * Signals that come while the new program starts have their default action until it starts its pool.
   */
  upgrade(program?: Program): Promise<never>;
  readonly name: string;
  /** Slots. */
  readonly workerCount: number;
  /** Processes. */
  readonly aliveCount: number;
  /** The signal that stopped the pool, for {@link dieOfSignal}. */
  readonly stopSignal: SignalName | null;
  worker(taskId: number): WorkerInfo;
  workers(): WorkerInfo[];
  /** A number for metrics. */
  counter(name: Counter): number;
  counters(): Record<Counter, number>;
  /** Stop the workers gracefully, wait for their ends, and free the pool: `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
  /** Whether the pool keeps the event loop alive, as it does by default. */
  ref(): this;
  unref(): this;
  /**
   * All events from now on. The loop ends when the pool is done, or throws what the pool failed with, also if that
   * was before. Each loop gets all events.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<PoolEvent>;

  on<E extends keyof PoolEventMap>(type: E, listener: (...args: PoolEventMap[E]) => void): this;
  on(type: string | symbol, listener: (...args: any[]) => void): this;
  once<E extends keyof PoolEventMap>(type: E, listener: (...args: PoolEventMap[E]) => void): this;
  once(type: string | symbol, listener: (...args: any[]) => void): this;
}

/** This process, as a worker: see {@link worker}. */
export class Worker extends EventEmitter {
  /** null in a process that is not a worker, {@link TASK_SPARE} in a spare. */
  readonly taskId: number | null;
  /** The name of the pool, or null in a process that is not a worker. */
  readonly poolName: string | null;
  /**
   * Aborted when this worker must stop: it was asked to, or the supervisor has ended. From the first use of
   * it, or of the event 'stop', the stop signal does not end this process, and Ctrl-C does nothing.
   * A stop signal of another process requests a stop too, but then process.exitCode is 128 and the number of
   * the signal, so that the worker is restarted.
   */
  readonly signal: AbortSignal;
  /** Whether this worker must stop. From the first use of it on, as with {@link signal}, it ends by itself. */
  readonly stopping: boolean;
  /** A descriptor for poll(2), which is readable when this worker must stop. It belongs to the library. */
  readonly stopFd: number;
  /** Report that this worker can serve: see the option readyTimeout. Any thread may call it. */
  ready(): void;
  /** Report that this worker makes progress: see the option heartbeatTimeout. Any thread may call it. */
  heartbeat(): void;
  /** Request a replacement of this worker, which goes on until it is asked to stop. */
  retire(): void;
  /** The descriptor of the option fds that has this name. */
  fd(name: string): number;

  on(type: 'stop', listener: () => void): this;
  on(type: string | symbol, listener: (...args: any[]) => void): this;
  once(type: 'stop', listener: () => void): this;
  once(type: string | symbol, listener: (...args: any[]) => void): this;
}

/** This process as a worker. In a process that is not a worker its taskId is null. */
export const worker: Worker;

/** The task id of a spare that has no slot yet. */
export const TASK_SPARE: -2;

/** A failure that the library reports. */
export class PreforkError extends Error {
  protected constructor();
  /** Such as 'EADDRINUSE' or 'PF_EGAVEUP'. */
  readonly code: string;
  /** The negative number of it. */
  readonly errno: number;
  /** What was called, such as 'pool.resize'. */
  readonly syscall: string;
  /** Of a socket. */
  readonly address?: string | null;
  readonly port?: number;
}

/** There were too many restarts, or no worker got ready. */
export class GaveUpError extends PreforkError {}

/** A worker exited with a status of the exit action 'fatal'. */
export class FatalExitError extends PreforkError {}

export interface BindOptions {
  /** A name or an address; default: any address. */
  host?: string | null;
  /** 0: the kernel chooses. */
  port: number;
  /** 4 or 6; default 0: both. */
  family?: 0 | 4 | 6;
  /** As of listen(2); default 128. Node sets its own when it listens. */
  backlog?: number;
  reusePort?: boolean;
}

/**
 * Bind a listening socket to each address of a host, for `server.listen({ fd })` in the workers. Call it
 * before run() or start(): workers get the sockets of the supervisor from the same call.
 */
export function bindSockets(options: BindOptions): number[];

/** Bind a listening UNIX socket; mode: its permissions, default 0o600. As bindSockets(). */
export function bindUnixSocket(path: string, options?: { mode?: number; backlog?: number }): number;

/** The descriptors that systemd has passed to this process. */
export function listenFds(): number[];

export interface DrainOptions {
  /** When to stop; default: worker.signal. */
  signal?: AbortSignal;
  /** How long connections that are kept alive may wait for their last request; default 500. */
  graceMs?: number;
}

/**
 * Wait until this worker must stop, then end an HTTP server without the loss of a request: accept no
 * more, answer what still comes with `Connection: close`, and close what stays idle. Call it before the
 * server listens. server.close() would close connections on which a request is on its way.
 */
export function drain(server: Server, options?: DrainOptions): Promise<void>;

/** End this process as a signal does, usually that of pool.stopSignal. Returns only by an error. */
export function dieOfSignal(signal: SignalName | number): void;

/** Processors that this process may use: affinity and control groups count. */
export function cpuCount(): number;

/** The version of the shared library. */
export function libraryVersion(): string;
