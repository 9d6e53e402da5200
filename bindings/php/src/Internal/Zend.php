<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Internal;

/**
 * What the engine of PHP holds in a process, and what of it a worker may not have.
 *
 * PHP handles HUP, INT, QUIT, TERM, USR1 and USR2 from its start, also where the program did not
 * ask for it. While a pool controls signals they have the default action, so that the library can
 * handle them; afterwards they are PHP's again.
 *
 * @internal
 */
final class Zend
{
    private const OWN = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
    /** The last one whose handler PHP tells. */
    private const LAST_SIGNAL = 31;

    /** @var array<int, \FFI\CData> the actions of PHP */
    private static array $saved = [];
    private static int $pools = 0;
    private static ?\FFI $engine = null;
    private static bool $ownsShutdown = false;
    /** How often the shutdown functions of this worker were called, and what it ends with. */
    private static int $shutdowns = 0;
    private static int $status = 255;
    /** The worker that this process is, and the ids of the open files that it has from its supervisor. */
    private static int $worker = 0;
    /** @var array<int, true> */
    private static array $inherited = [];

    /** Called when a pool that controls signals starts. */
    public static function releaseSignals(): void
    {
        if (self::$pools++ > 0) {
            return;
        }
        foreach (self::OWN as $signal) {
            if (pcntl_signal_get_handler($signal) !== SIG_DFL) {
                continue; // it is the program's
            }
            $action = Libc::action($signal);
            if (!Libc::isDefault($action)) {
                self::$saved[$signal] = $action;
                Libc::setDefault($signal);
            }
        }
    }

    /** Called when such a pool has ended. */
    public static function restoreSignals(): void
    {
        if (--self::$pools === 0) {
            self::handleSignals();
        }
    }

    private static function handleSignals(): void
    {
        foreach (self::$saved as $signal => $action) {
            if (Libc::isDefault(Libc::action($signal))) {
                Libc::get()->sigaction($signal, $action, null);
            }
        }
        self::$saved = [];
    }

    /**
     * In the child of a fork, while its signals are blocked. Handlers, buffered output and shutdown
     * functions are those of the supervisor.
     */
    public static function leaveSupervisor(): void
    {
        for ($signal = 1; $signal <= self::LAST_SIGNAL; $signal++) {
            if (is_callable(pcntl_signal_get_handler($signal))) {
                pcntl_signal($signal, SIG_DFL);
            }
        }
        while (ob_get_level() > 0 && @ob_end_clean()) {
        }
        try {
            self::$engine = \FFI::cdef('void php_free_shutdown_functions(void);'
                . 'void php_call_shutdown_functions(void);');
            self::$engine->php_free_shutdown_functions();
            self::$ownsShutdown = true;
            // Where one of the worker's calls exit(), PHP would call all of them again.
            register_shutdown_function(static function (): void {
                if (self::$shutdowns++ > 0) {
                    self::leave();
                }
            });
        } catch (\FFI\Exception) {
            self::$ownsShutdown = false; // another build of PHP does not export them
        }
    }

    /** In a new worker. */
    public static function beginWorker(): void
    {
        self::handleSignals();
        self::$pools = 0;
        self::$worker = getmypid();
        self::$inherited = array_fill_keys(array_keys(get_resources()), true);
        mt_srand(random_int(0, 0x7fffffff));
    }

    /**
     * Ends a worker that was forked: its shutdown functions run, its output is written. Destructors
     * of what the supervisor has made, such as its connections to a database, do not run.
     */
    public static function endWorker(int $status): never
    {
        self::$status = $status;
        try {
            if (self::$ownsShutdown) {
                self::$engine->php_call_shutdown_functions();
            }
        } catch (\Throwable $error) {
            error_log("PHP Fatal error:  Uncaught $error");
            self::$status = 255;
        }
        self::leave();
    }

    private static function leave(): never
    {
        while (ob_get_level() > 0 && @ob_end_flush()) {
        }
        self::closeStreams();
        self::exit(self::$status);
    }

    /** What the worker has opened and left open, as PHP does: compressed files lack their end before. */
    private static function closeStreams(): void
    {
        if (getmypid() !== self::$worker) {
            return; // a process that it has forked
        }
        foreach (array_reverse(array_diff_key(get_resources('stream'), self::$inherited), true) as $stream) {
            if (is_resource($stream)) { // a filter or another stream may have closed it
                @fclose($stream);
            }
        }
    }

    /** Ends the process at once. */
    public static function exit(int $status): never
    {
        Libc::get()->_exit($status);
        exit($status);
    }
}
