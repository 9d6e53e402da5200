<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork;

use FFI\CData;
use Prefork\Internal\{Descriptor, Library, Settings, Strings};

/**
 * What a running pool can be asked for. Use {@see Pool}. All methods throw {@see PreforkException}:
 * with errno EINVAL before the start and after close(), ECANCELED while the pool stops, ECHILD in
 * another process.
 */
abstract class Control
{
    private ?CData $handle = null;
    private int $stopSignal = 0;
    /** How long an upgrade may wait for events, and for a daemon that is not ready yet. */
    private const UPGRADE_S = 60;
    /** These have another meaning of EINVAL, or callers that know it. */
    private const BEFORE_START = ['pf_pool_start', 'pf_pool_run', 'pf_pool_stop_signal'];

    /** @var ?array{?string, Strings, Strings, float} the program that is to be executed, and until when */
    protected ?array $upgrade = null;

    /** @internal */
    protected function __construct(protected readonly ?\Closure $worker)
    {
        $lib = Library::get();
        $handle = $lib->new('pf_pool *');
        $address = \FFI::addr($handle);
        Library::check($lib->pf_pool_new($address), 'Pool');
        $this->handle = $handle;
    }

    /** @internal */
    protected function handle(): CData
    {
        return $this->handle ?? throw new PreforkException('the pool is closed', -\PCNTL_EINVAL);
    }

    /**
     * Calls the library. All arguments have their values before PHP looks up the function: where a
     * handler of a signal throws in between, PHP 8.2 mixes up the functions.
     *
     * @internal
     */
    protected function call(string $function, mixed ...$arguments): int
    {
        $pool = $this->handle();
        $result = Library::get()->$function($pool, ...$arguments);
        if ($result === -\PCNTL_EINVAL && !in_array($function, self::BEFORE_START, true)
            && Library::get()->pf_pool_worker_count($pool) === -\PCNTL_EINVAL) {
            throw new PreforkException('the pool has not started', $result);
        }
        return $result;
    }

    /** A pool cannot be copied: both would free it. */
    private function __clone()
    {
    }

    /** A pool cannot be serialized. */
    public function __serialize(): array
    {
        throw new \LogicException('a pool cannot be serialized');
    }

    /** A pool cannot be made from a string. */
    public function __unserialize(array $data): void
    {
        throw new \LogicException('a pool cannot be serialized');
    }

    /** Whether close() was called. */
    public function isClosed(): bool
    {
        return $this->handle === null;
    }

    /** Frees the pool. */
    public function close(): void
    {
        if ($this->handle !== null) {
            $this->stopSignal = $this->call('pf_pool_stop_signal');
            [$handle, $this->handle] = [$this->handle, null];
            Library::get()->pf_pool_free($handle);
        }
    }

    /** Stops all workers gracefully. The loop over the events does it, and ends then. */
    public function stop(): void
    {
        Library::check($this->call('pf_pool_stop'), 'stop');
    }

    /** Stops all workers by SIGKILL. */
    public function kill(): void
    {
        Library::check($this->call('pf_pool_kill'), 'kill');
    }

    /** Replaces all workers, one after the other, in the order of their task ids. */
    public function reload(): void
    {
        Library::check($this->call('pf_pool_reload'), 'reload');
    }

    /** Makes {@see Pool::stream()} readable. */
    public function wake(): void
    {
        Library::check($this->call('pf_pool_wake'), 'wake');
    }

    /**
     * Does what {@see Signals::Standard} does for a signal, for handlers of the program's own:
     * `pcntl_signal(SIGHUP, fn ($signal) => $pool->handleSignal($signal))`.
     */
    public function handleSignal(int $signal): void
    {
        $number = Settings::int32('signal', $signal);
        $result = $this->call('pf_pool_handle_signal', $number);
        Settings::check($result, 'signal', $signal);
    }

    /** Changes the number of slots, 1 to 65,536. Surplus ones, with the highest ids, are stopped. */
    public function resize(int $count): void
    {
        $number = Settings::int32('count', $count);
        Settings::check($this->call('pf_pool_resize', $number), 'count', $count);
    }

    /**
     * Replaces one worker. A slot without a worker gets one at once.
     *
     * @throws PreforkException with errno EALREADY if it is being replaced
     */
    public function replaceWorker(int $taskId): void
    {
        $number = Settings::int32('taskId', $taskId);
        Settings::check($this->call('pf_pool_replace_worker', $number), 'taskId', $taskId);
    }

    /** Stops one worker. Its slot stays empty until {@see Control::replaceWorker()}. */
    public function stopWorker(int $taskId): void
    {
        $number = Settings::int32('taskId', $taskId);
        Settings::check($this->call('pf_pool_stop_worker', $number), 'taskId', $taskId);
    }

    /**
     * Sends a signal to one worker, or to all. This is not a stop request.
     *
     * @param ?int $taskId null: all
     * @throws PreforkException with errno ESRCH if the slot has no process
     */
    public function sendSignal(int $signal, ?int $taskId = null): void
    {
        if ($signal < 1 || $signal > 64) {
            throw Settings::error('signal', $signal);
        }
        if ($taskId !== null && ($taskId < 0 || $taskId >= $this->workerCount())) {
            throw Settings::error('taskId', $taskId);
        }
        $result = $this->call('pf_pool_send_signal', $taskId ?? -1, $signal);
        Library::check($result, 'sendSignal');
    }

    /** Changes how many spares are kept. Also while the pool runs. */
    public function setSpares(int $count): void
    {
        Settings::set($this->handle(), 'spares', 'spares', $count);
    }

    /**
     * Changes the program of workers that are started from now on, if the workers are made by exec.
     *
     * @param true|list<string> $exec as of {@see Pool::__construct()}
     * @param ?array<string, string> $env null: the present one
     */
    public function setExec(bool|array $exec = true, ?array $env = null): void
    {
        if ($exec === false) {
            throw new InvalidValueException('exec', 'true, or a program and its arguments', $exec);
        }
        Settings::program($this->handle(), $exec, $env);
    }

    /**
     * Executes this program anew, or another one, in this process, which keeps its workers and its
     * sockets. It happens when the pool waits for the next time. In the new program a pool of the
     * same name goes on with the workers. Reload it to have the workers run the new program, too.
     * A failure is written to the error log, and the pool goes on; also if the upgrade is not
     * possible for 60 seconds, because a daemon is not ready or another pool has events.
     *
     * @param ?string $path null: this program; a name without / is looked for in PATH
     * @param ?list<string> $arguments from its name on; null: those of this program
     * @param ?array<string, string> $env null: the present one
     * @throws InvalidValueException for a program that is not there, and for no arguments
     */
    public function upgrade(?string $path = null, ?array $arguments = null, ?array $env = null): void
    {
        if ($path !== null && str_contains($path, "\0")) {
            throw new InvalidValueException('path', 'null, or without NUL', $path);
        }
        if ($arguments === []) {
            throw new InvalidValueException('arguments', 'null, or a program and its arguments', $arguments);
        }
        $program = $path === null ? null : Strings::program('path', $path);
        $until = hrtime(true) / 1e9 + self::UPGRADE_S;
        $upgrade = [$program, new Strings('arguments', $arguments), Strings::environment($env), $until];
        $this->wake();
        $this->upgrade = $upgrade;
    }

    /**
     * A stream that is readable when {@see Pool::poll()} has something to do, for stream_select()
     * and event loops. Do not read it.
     *
     * @return resource
     */
    public function stream()
    {
        return Descriptor::stream($this->fd());
    }

    /** The descriptor of {@see Control::stream()}. It belongs to the library. */
    public function fd(): int
    {
        return Library::check($this->call('pf_pool_fd'), 'fd');
    }

    /** How many slots the pool has. */
    public function workerCount(): int
    {
        return Library::check($this->call('pf_pool_worker_count'), 'workerCount');
    }

    /** How many processes the pool has, without spares. */
    public function aliveCount(): int
    {
        return Library::check($this->call('pf_pool_alive_count'), 'aliveCount');
    }

    /** One slot. While its worker is being replaced, that is the old worker. */
    public function worker(int $taskId): WorkerInfo
    {
        [$lib, $pool, $id] = [Library::get(), $this->handle(), Settings::int32('taskId', $taskId)];
        $state = Settings::check($lib->pf_pool_worker_state($pool, $id), 'taskId', $taskId);
        return new WorkerInfo(
            $taskId,
            WorkerState::tryFrom($state),
            $lib->pf_pool_worker_pid($pool, $id) ?: null,
            $lib->pf_pool_worker_restarts($pool, $id),
            $lib->pf_pool_worker_uptime_ms($pool, $id) / 1e3,
        );
    }

    /**
     * All slots, in the order of their task ids.
     *
     * @return list<WorkerInfo>
     */
    public function workers(): array
    {
        return array_map($this->worker(...), range(0, $this->workerCount() - 1));
    }

    /** A number for metrics. Those over the life of the pool never decrease. */
    public function counter(Counter $counter): int
    {
        return $this->call('pf_pool_counter', $counter->value);
    }

    /**
     * All counters by their names, such as "StartFailed".
     *
     * @return array<string, int>
     */
    public function counters(): array
    {
        $values = [];
        foreach (Counter::cases() as $counter) {
            $values[$counter->name] = $this->counter($counter);
        }
        return $values;
    }

    /** The signal that stopped the pool, for {@see Process::dieOfSignal()}; null: none. */
    public function stoppedBy(): ?int
    {
        $signal = $this->handle === null ? $this->stopSignal
            : $this->call('pf_pool_stop_signal');
        return $signal > 0 ? $signal : null;
    }
}
