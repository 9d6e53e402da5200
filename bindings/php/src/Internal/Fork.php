<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Internal;

use FFI\CData;
use Prefork\PreforkException;

/**
 * The forks that a pool asks for, and the function of a worker.
 *
 * @internal
 */
final class Fork
{
    /**
     * Forks a worker for a request of the pool. Returns in the supervisor only.
     *
     * Signals are blocked from the first step to the last: no handler of the program runs in a
     * process that is not a worker yet.
     *
     * @param callable(int): (int|void|null) $function
     * @param bool $async of pcntl_async_signals() in the worker
     */
    public static function worker(CData $pool, int $task, callable $function, bool $async): void
    {
        $lib = Library::get();
        if ($lib->pf_pool_fork_prepare($pool, $task) < 0) {
            return; // the pool does not want this worker any more
        }
        try {
            // A signal that came before must not be handled in the child.
            pcntl_signal_dispatch();
            $pid = @pcntl_fork();
        } catch (\Throwable $error) {
            $lib->pf_pool_fork_parent($pool, $task, -PCNTL_EAGAIN);
            throw $error;
        }
        if ($pid === 0) {
            self::becomeWorker($pool, $task, $function, $async);
        }
        $answer = $pid > 0 ? $pid : -pcntl_get_last_error();
        $lib->pf_pool_fork_parent($pool, $task, $answer);
    }

    /** @param callable(int): (int|void|null) $function */
    private static function becomeWorker(CData $pool, int $task, callable $function, bool $async): never
    {
        $status = 255;
        try {
            Zend::leaveSupervisor();
            $result = Library::get()->pf_pool_fork_child($pool, $task);
            if ($result < 0) {
                Zend::exit($task === Library::TASK_SPARE ? 0 : 1);
            }
            Zend::beginWorker();
            pcntl_async_signals($async);
            $status = self::run($function, $task === Library::TASK_SPARE ? $result : $task);
        } catch (\Throwable $error) {
            error_log("PHP Fatal error:  Uncaught $error");
        }
        Zend::endWorker($status);
    }

    /**
     * Runs the function of a worker. An exception is reported as PHP does.
     *
     * @param callable(int): (int|void|null) $function
     * @return int the exit status
     */
    public static function run(callable $function, int $task): int
    {
        try {
            $status = $function($task);
            if ($status !== null && !is_int($status)) {
                throw new PreforkException('the function of a worker returned '
                    . get_debug_type($status) . '; expected an int, which is the exit status, or nothing');
            }
            if ($status < 0 || $status > 255) {
                throw new PreforkException("the function of a worker returned $status; expected an exit "
                    . 'status, 0 to 255');
            }
            return $status ?? 0;
        } catch (\Throwable $error) {
            $handler = set_exception_handler(null);
            if ($handler !== null) {
                $handler($error);
            } else {
                error_log("PHP Fatal error:  Uncaught $error");
            }
            return 255;
        }
    }
}
