<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

use FFI\CData;
use Prefork\Internal\{Fork, Library, Settings, Zend};

/**
 * Worker processes that run a function, started, watched and stopped by this process.
 *
 *     $pool = new Prefork\Pool(workers: 4, worker: function (int $task): void { ... });
 *     foreach ($pool as $event) {
 *         echo $event->message, "\n";
 *     }
 *
 * A pool is used once, by the process that made it. Handlers of pcntl_signal, which run while the
 * pool waits, may call all of its methods. In another process, such as a worker, they throw
 * {@see PreforkException} with errno ECHILD. A pool that is destructed kills its workers: end with
 * {@see Pool::run()}, a loop over its events, or {@see Pool::shutdown()}. All durations are in
 * seconds.
 *
 * A worker is a fork. The result of its function is its exit status, 0 to 255; nothing is 0, an
 * exception 255. Handlers of signals, output buffers and shutdown functions of the supervisor are
 * dropped in it, mt_rand() is seeded. After the function, shutdown functions of the worker run, and
 * the process ends without destructors: what the supervisor has made, such as its connections,
 * stays good. exit() in a worker runs them all, as PHP does: return rather. Objects of
 * Random\Engine and lcg_value() give the same numbers in all workers if the supervisor used them.
 *
 * @implements \IteratorAggregate<int, Event>
 */
final class Pool extends Control implements \IteratorAggregate
{
    /** Where the pool waits inside of the library, a signal is noticed so much later at most. */
    private const INSIDE_MS = 50;
    private const UPGRADE_LATER = [-11, -16]; // EAGAIN, EBUSY: another attempt may succeed
    private const UPGRADE_AGAIN_S = 0.1;

    private ?CData $event = null;
    private bool $started = false;
    private bool $finished = false;
    private bool $holdsSignals = false;
    private ?PreforkException $failure = null;
    /** What went wrong last, and what had when the pool gave up. */
    private string $last = '';
    private string $cause = '';
    private ?Event $pulled = null;

    /**
     * Makes a pool. Nothing is started yet.
     *
     * @param null|callable(int): (int|void|null) $worker what each worker runs, with its task id;
     *     null only where exec is a list
     * @param int $workers how many; 0: {@see Process::cpuCount()}
     * @param string $name of the pool, at most 63 bytes; a worker by exec finds its pool by it
     * @param bool|list<string> $exec false: workers are forked. true: each worker executes this
     *     program anew, which must come to this pool and start it. A list: a program and its arguments
     * @param ?array<string, string> $env the environment of workers by exec; null: that of this process
     * @param bool $foreign whether the program of $exec does not know libprefork; with a time-out it
     *     reports as a service does to systemd
     * @param array<string, int|resource|Listener|\Socket> $fds open files for {@see Worker::fd()}
     * @param int $spares workers that are started ahead of need and take a slot at once
     * @param RestartPolicy $restartPolicy which ends lead to a restart
     * @param int $maxRestarts in the life of the pool; PHP_INT_MAX: no limit
     * @param array{int, float} $restartWindow how many restarts in how many seconds; 0, 0: any
     * @param int $bootLimit how many workers may end in a row before one is ready; 0: any
     * @param array{float, float} $backoff the first delay before a restart, and the largest
     * @param LimitAction $limitAction what too many restarts lead to
     * @param int $stopSignal the signal that asks a worker to stop; 0: none
     * @param float $stopTimeout after which a worker that was asked to stop is killed; 0: never
     * @param array<int, ExitAction> $exitActions what single exit statuses mean
     * @param float $readyTimeout in which a worker must call {@see Worker::ready()}; 0: it need not
     * @param float $minUptime how long a worker must live to count as started well
     * @param float $heartbeatTimeout the longest time between two {@see Worker::heartbeat()}; 0: any
     * @param array{float, float} $lifetime the age at which a worker is replaced, and a random part
     *     of it; 0, 0: any
     * @param ReloadOrder $reloadOrder whether a new worker starts before the old one stops
     * @param int $replaceWidth how many slots are replaced at a time
     * @param Signals $signals which signals of this process control the pool, unless the program
     *     handles them by pcntl_signal
     * @param ProcessGroups $processGroups whether each worker leads a process group
     * @param int $parentDeathSignal what the kernel sends to workers when this process ends; 0: none
     * @param bool $stopFd whether workers can have {@see Worker::stopFd()}
     * @param ReapOrphans $reapOrphans which other children are reaped
     * @param bool $managerNotify whether systemd is told of readiness, reloads and the stop
     * @param Backend $backend how ends are noticed
     * @throws InvalidValueException for a value that is out of range; it names the parameter
     */
    public function __construct(
        ?callable $worker = null,
        int $workers = 0,
        private readonly string $name = '',
        private readonly bool|array $exec = false,
        ?array $env = null,
        bool $foreign = false,
        array $fds = [],
        int $spares = 0,
        RestartPolicy $restartPolicy = RestartPolicy::OnFailure,
        int $maxRestarts = 100,
        array $restartWindow = [0, 0.0],
        int $bootLimit = 0,
        array $backoff = [0.0, 0.0],
        LimitAction $limitAction = LimitAction::Stop,
        int $stopSignal = \SIGTERM,
        float $stopTimeout = 10.0,
        array $exitActions = [],
        float $readyTimeout = 0.0,
        float $minUptime = 1.0,
        float $heartbeatTimeout = 0.0,
        array $lifetime = [0.0, 0.0],
        ReloadOrder $reloadOrder = ReloadOrder::StartFirst,
        int $replaceWidth = 1,
        private readonly Signals $signals = Signals::Standard,
        ProcessGroups $processGroups = ProcessGroups::None,
        int $parentDeathSignal = \SIGTERM,
        bool $stopFd = true,
        private readonly ReapOrphans $reapOrphans = ReapOrphans::None,
        bool $managerNotify = false,
        Backend $backend = Backend::Auto,
    ) {
        $settings = get_defined_vars();
        if ($worker === null && !is_array($exec)) {
            throw new InvalidValueException('worker', 'a function where exec is not a list', null);
        }
        if ($foreign && !is_array($exec)) {
            throw Settings::error('foreign', $foreign);
        }
        if ($env !== null && $exec === false) {
            throw new InvalidValueException('env', 'null where workers are forked', $env);
        }
        parent::__construct($worker === null ? null : $worker(...));
        Settings::apply($this->handle(), $settings);
    }

    /**
     * Starts the pool. The loop over its events, run() and poll() do it as well. A worker by exec
     * runs its function here, and ends.
     *
     * @throws PreforkException with errno EALREADY after an earlier start
     */
    public function start(): void
    {
        $this->runWorker();
        if ($this->signals !== Signals::None && !$this->started && !$this->isClosed()) {
            Zend::releaseSignals();
            $this->holdsSignals = true;
        }
        $result = $this->call('pf_pool_start');
        if ($result < 0 && !$this->started) {
            $this->releaseSignals();
        }
        Library::check($result, 'start');
        $this->event = Library::get()->new('const pf_event *');
        $this->started = true;
    }

    /** In a worker by exec of this pool: runs its function and exits. Elsewhere it does nothing. */
    public function runWorker(): void
    {
        if ($this->exec === false || !Library::isExecutedWorkerOf($this->name)) {
            return;
        }
        if ($this->worker === null) {
            throw new PreforkException('a worker of this pool executes another program');
        }
        $task = Library::get()->new('int');
        Library::check($this->call('pf_pool_run', \FFI::addr($task)), 'runWorker');
        Library::becameWorker();
        if ($task->cdata < 0) {
            throw new PreforkException('this process is not a worker', -\PCNTL_ECHILD);
        }
        exit(Fork::run($this->worker, $task->cdata));
    }

    /**
     * Supervises to the end. If the program throws meanwhile, for example in a handler of a signal,
     * the workers are stopped first.
     *
     * @param null|callable(Event): void $observer is called with each event; null: those of
     *     level warning and worse are written to stderr
     * @throws GaveUpException|FatalExitException|PreforkException what the pool failed with
     */
    public function run(?callable $observer = null): void
    {
        $observer ??= static function (Event $event): void {
            if ($event->level <= \LOG_WARNING) {
                error_log("prefork: $event->message");
            }
        };
        try {
            foreach ($this->events() as $event) {
                $observer($event);
            }
        } catch (\Throwable $error) {
            if (!$this->finished) {
                $this->shutdown();
            }
            throw $error;
        }
    }

    /**
     * Supervises, and yields each event. The pool makes progress while the loop asks for events. A
     * loop that was left may be begun again.
     *
     * @return \Generator<int, Event>
     * @throws GaveUpException|FatalExitException|PreforkException what the pool failed with, after
     *     the last event; no worker is left
     */
    public function events(): \Generator
    {
        if (!$this->started) {
            $this->start();
        }
        for (;;) {
            while (($event = $this->pull()) !== null) {
                yield $event;
            }
            if ($this->finished) {
                $this->throwFailure();
                return;
            }
            $this->wait();
        }
    }

    /** The same as {@see Pool::events()}. */
    public function getIterator(): \Generator
    {
        return $this->events();
    }

    /**
     * Does what is to be done now, without waiting, and returns the events. For event loops, which
     * call it when {@see Pool::stream()} is readable, until {@see Pool::isDone()}.
     *
     * @return list<Event>
     * @throws GaveUpException|FatalExitException|PreforkException what the pool failed with
     */
    public function poll(): array
    {
        if (!$this->started) {
            $this->start();
        }
        if (!$this->finished) {
            $this->tryUpgrade();
            $this->dispatch(0);
        }
        $events = [];
        while (($event = $this->pull()) !== null) {
            $events[] = $event;
        }
        if ($events === [] && $this->finished) {
            $this->throwFailure();
        }
        return $events;
    }

    /** Whether the pool has ended. */
    public function isDone(): bool
    {
        return $this->finished;
    }

    /** Stops all workers gracefully, waits for their end, and frees the pool. */
    public function shutdown(): void
    {
        try {
            if ($this->started && !$this->finished) {
                $this->stop();
                foreach ($this->events() as $_) {
                    continue;
                }
            }
        } finally {
            $this->close();
        }
    }

    /** Frees the pool. Workers that are still alive are killed. */
    public function close(): void
    {
        parent::close();
        $this->finished = true;
        $this->releaseSignals();
    }

    /**
     * The next event that waits. Handlers of signals run before or after, also asynchronous ones:
     * where one throws, the pool has what it asked for.
     */
    private function pull(): ?Event
    {
        if ($this->pulled === null) {
            $async = \pcntl_async_signals(false);
            try {
                $this->pulled = $this->next($async);
            } finally {
                \pcntl_async_signals($async);
            }
            if ($async) {
                \pcntl_signal_dispatch();
            }
        }
        [$event, $this->pulled] = [$this->pulled, null];
        return $event;
    }

    /** The next event of the library. Workers that are asked for before it are forked. */
    private function next(bool $async): ?Event
    {
        $lib = Library::get();
        $address = \FFI::addr($this->event);
        while (Library::check($this->call('pf_pool_next_event', $address), 'events') > 0) {
            if ($lib->pf_event_type($this->event) === EventType::ForkWanted->value) {
                $task = $lib->pf_event_task_id($this->event);
                Fork::worker($this->handle(), $task, $this->worker, $async);
                continue;
            }
            $event = Event::read($lib, $this->event);
            if ($event->type === EventType::GaveUp) {
                $this->cause = $this->last;
            } elseif ($event->level <= \LOG_WARNING) {
                $this->last = $event->message;
            }
            return $event;
        }
        return null;
    }

    private function wait(): void
    {
        $this->tryUpgrade();
        $fd = $this->call('pf_pool_fd');
        if ($fd < 0 || $this->reapOrphans === ReapOrphans::Adopted) {
            \pcntl_signal_dispatch();
            $this->dispatch(self::INSIDE_MS);
            return;
        }
        Internal\Libc::wait($fd, $this->upgrade === null ? null : self::UPGRADE_AGAIN_S);
        if (!$this->isClosed()) { // by a handler
            $this->dispatch(0);
        }
    }

    private function dispatch(int $timeout): void
    {
        $result = $this->call('pf_pool_dispatch', $timeout);
        if ($result === -\PCNTL_ECHILD) {
            throw Library::failure($result, 'events');
        }
        if ($result <= 0) {
            $this->finished = true;
            $this->failure = $result < 0 ? Library::failure($result, 'the pool') : null;
            $this->releaseSignals();
        }
    }

    private function throwFailure(): void
    {
        [$failure, $this->failure] = [$this->failure, null];
        if ($failure instanceof GaveUpException && $this->cause !== '') {
            throw new GaveUpException("{$failure->getMessage()}: $this->cause", $failure->getCode());
        }
        if ($failure !== null) {
            throw $failure;
        }
    }

    private function tryUpgrade(): void
    {
        if ($this->upgrade === null) {
            return;
        }
        [$path, $arguments, $environment, $until] = $this->upgrade;
        $result = Library::get()->pf_upgrade($path, $arguments->array, $environment->array);
        if (!in_array($result, self::UPGRADE_LATER, true) || hrtime(true) / 1e9 > $until) {
            $this->upgrade = null;
            error_log('prefork: ' . Library::failure($result, 'the upgrade failed')->getMessage());
        }
    }

    private function releaseSignals(): void
    {
        if ($this->holdsSignals) {
            $this->holdsSignals = false;
            Zend::restoreSignals();
        }
    }

    /** Kills workers that are still alive. */
    public function __destruct()
    {
        if (!$this->isClosed()) {
            $this->close();
        }
    }
}
