<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Tests;

use Prefork\{InvalidValueException, Pool, Process, Signals};
use Prefork\Internal\Settings;

/** Values that make no sense, and workers that end in every way. */
final class HostileTest extends ProcessCase
{
    public function test_a_worker_has_the_status_that_its_end_has(): void
    {
        $program = $this->launch(<<<'PHP'
            $ends = [
                'status 255' => fn () => 255,
                'status 256' => fn () => 256,
                'status -1' => fn () => -1,
                'error' => fn () => no_such_function(),
                'fatal error' => fn () => eval('function strlen() {}'),
                'memory' => function () {
                    ini_set('memory_limit', '8M');
                    for ($all = []; true;) {
                        $all[] = str_repeat('x', 100000);
                    }
                },
                'exit in a fiber' => fn () => (new Fiber(fn () => exit(8)))->start(),
                'exit in finally' => function () { try { return 1; } finally { exit(4); } },
                'a handler of exceptions that throws' => function () {
                    set_exception_handler(fn () => throw new Exception('second'));
                    throw new Exception('first');
                },
                'a child that returns' => function () {
                    if (($pid = pcntl_fork()) === 0) {
                        return 5;
                    }
                    pcntl_waitpid($pid, $status);
                    return pcntl_wexitstatus($status) + 1;
                },
                'a pool of its own' => function () {
                    (new Pool(fn () => 0, 2, signals: Signals::None))->run();
                    return 6;
                },
                'a signal' => fn () => posix_kill(getmypid(), SIGKILL) && sleep(60),
            ];
            $names = array_keys($ends);
            $pool = new Pool(fn (int $task) => $ends[$names[$task]](), count($ends), restartPolicy: Prefork\RestartPolicy::Never);
            foreach ($pool as $event) {
                if ($event->type === EventType::Exited) {
                    say('end', $names[$event->taskId], ':', (string) ($event->exitCode ?? -$event->signal));
                }
            }
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertEqualsCanonicalizing([
            'status 255 : 255', 'status 256 : 255', 'status -1 : 255', 'error : 255', 'fatal error : 255',
            'memory : 255', 'exit in a fiber : 8', 'exit in finally : 4', 'a handler of exceptions that throws : 255',
            'a child that returns : 6', 'a pool of its own : 6', 'a signal : -9',
        ], $program->lines('end'));
        self::assertStringContainsString('a worker returned 256; expected an exit status, 0 to 255', $program->err());
        self::assertSame([], $program->processes());
    }

    public function test_no_duration_becomes_none(): void
    {
        foreach ([[0, 0], [0.0, 0], [1e-300, 1], [1e-7, 1], [0.001, 1], [0.0011, 2], [0.1 + 0.2, 300]] as [$seconds, $ms]) {
            self::assertSame($ms, Settings::milliseconds('minUptime', $seconds));
        }
    }

    public function test_what_would_be_cut_or_dropped_is_refused(): void
    {
        $work = self::stay();
        foreach ([['A=B' => ''], ['' => 'x'], ['A' => []], ['A' => null], ['A' => "\0"]] as $env) {
            $call = static fn () => new Pool($work, exec: true, env: $env);
            self::assertSame('env', self::refused($call, InvalidValueException::class)->parameter);
        }
        $call = static fn () => Process::dieOfSignal(2 ** 32 + SIGTERM);
        self::assertSame('signal', self::refused($call, InvalidValueException::class)->parameter);
        $pool = new Pool($work, 1, signals: Signals::None);
        $pool->poll();
        foreach ([['no-such-program', null, 'path'], ["a\0b", null, 'path'], [null, [], 'arguments'],
            [null, ["a\0b"], 'arguments']] as [$path, $arguments, $parameter]) {
            $call = static fn () => $pool->upgrade($path, $arguments);
            self::assertSame($parameter, self::refused($call, InvalidValueException::class)->parameter);
        }
        $pool->shutdown();
        self::assertFalse((new \ReflectionClass($pool))->isCloneable());
    }

    public function test_a_pool_is_not_made_from_a_string(): void
    {
        $pool = new Pool(self::stay(), 1);
        foreach ([static fn () => serialize($pool), static fn () => unserialize('O:12:"Prefork\Pool":0:{}')] as $call) {
            try {
                $call();
                self::fail('nothing was thrown');
            } catch (\LogicException $error) {
                self::assertSame('a pool cannot be serialized', $error->getMessage());
            }
        }
        (new \ReflectionClass(Pool::class))->newInstanceWithoutConstructor(); // whose destructor finds nothing
    }

    public function test_what_needs_a_pool_that_has_started_says_so(): void
    {
        $pool = new Pool(self::stay(), 1);
        foreach ([static fn () => $pool->stop(), static fn () => $pool->resize(5), static fn () => $pool->workers(),
            static fn () => $pool->replaceWorker(0), static fn () => $pool->sendSignal(SIGTERM, 0),
            static fn () => $pool->handleSignal(SIGTERM), static fn () => $pool->stream()] as $call) {
            $error = self::refused($call);
            self::assertSame('the pool has not started', $error->getMessage());
            self::assertSame(PCNTL_EINVAL, $error->errno);
        }
        $pool->setSpares(1);
        self::assertNull($pool->stoppedBy());
        $pool->close();
    }

    public function test_many_descriptors_of_systemd(): void
    {
        $program = $this->launch(<<<'PHP'
            if (getenv('LISTEN_FDS') === false) {
                // A shell opens what PHP would keep to itself.
                $opened = implode('; ', array_map(fn ($fd) => "exec $fd</dev/null", range(3, 1102)));
                pcntl_exec('/bin/bash', ['-c', "ulimit -n 4096; $opened; LISTEN_PID=\$\$ LISTEN_FDS=1100 exec \"\$@\"", 'bash',
                    PHP_BINARY, __FILE__]);
            }
            $fds = array_map(fn ($listener) => $listener->fd, Sockets::fromSystemd());
            say('fds', json_encode($fds === range(3, 1102)));
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame(['true'], $program->lines('fds'));
    }

    public function test_an_upgrade_that_is_never_possible_fails(): void
    {
        $program = $this->launch(<<<'PHP'
            Process::daemonize();
            $pool = new Pool(workers: 1, readyTimeout: 60, worker: fn () => sleep(600));
            foreach ($pool as $event) {
                if ($event->type === EventType::Started) {
                    $pool->upgrade(); // the daemon is not ready
                    $upgrade = new ReflectionProperty($pool, 'upgrade');
                    $upgrade->setValue($pool, [...array_slice($upgrade->getValue($pool), 0, 3), hrtime(true) / 1e9 + 0.05]);
                    set_error_handler(null);
                    ini_set('error_log', $argv[1]);
                }
            }
            PHP, [], [$log = sys_get_temp_dir() . '/prefork-' . bin2hex(random_bytes(8)) . '.log']);
        $failure = 'prefork: the upgrade failed: Device or resource busy';
        Program::until(static fn () => str_contains((string) @file_get_contents($log), $failure), 'the failure');
        unlink($log);
        $daemon = array_values(array_filter($program->processes(), fn ($pid) => $pid !== $program->pid));
        self::assertNotSame([], $daemon);
    }
}
