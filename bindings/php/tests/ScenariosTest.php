<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Tests;

use Prefork\{Event, EventType, ExitAction, FatalExitException, GaveUpException, InvalidValueException};
use Prefork\{Pool, PreforkException, ResolveException, Sockets, Worker, WorkerState};

/** The scenarios that the bindings of all languages run: see bindings/README.md. */
final class ScenariosTest extends ProcessCase
{
    private const STAY = <<<'PHP'
        $pool = new Pool(workers: 3, worker: function (int $task) {
            say("worker $task", (string) getmypid());
            while (true) {
                sleep(600);
            }
        });
        $pool->run();
        say('ended');
        Process::dieOfSignal($pool->stoppedBy());
        PHP;

    public function test_task_ids(): void
    {
        $program = $this->launch(<<<'PHP'
            say('before', var_export(Worker::taskId(), true), var_export(Worker::isWorker(), true));
            $pool = new Pool(workers: 4, worker: function (int $task) {
                $child = pcntl_fork();
                if ($child === 0) {
                    say('child ' . Worker::taskId());
                    posix_kill(getmypid(), SIGKILL);
                }
                pcntl_waitpid($child, $status);
                say("worker $task " . Worker::taskId());
            });
            $pool->run();
            say('after', var_export(Worker::taskId(), true));
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame(['NULL false'], $program->lines('before'));
        self::assertSame(['NULL'], $program->lines('after'));
        self::assertEqualsCanonicalizing(['0 0', '1 1', '2 2', '3 3'], $program->lines('worker'));
        self::assertEqualsCanonicalizing(['0', '1', '2', '3'], $program->lines('child'));
    }

    public function test_restart_with_the_same_id(): void
    {
        $program = $this->launch(self::STAY);
        $program->waitFor('worker', 3);
        [$pid] = $program->lines('worker 1');
        posix_kill((int) $pid, SIGKILL);
        $program->waitFor('worker', 4);
        self::assertCount(2, array_unique($program->lines('worker 1')));
        $program->signal(SIGTERM);
        self::assertSame(-SIGTERM, $program->end());
    }

    public function test_clean_exit(): void
    {
        $program = $this->launch(<<<'PHP'
            register_shutdown_function(fn () => say('shutdown', (string) getmypid()));
            (new Pool(fn () => null, 2))->run();
            say('done', (string) getmypid());
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame(["$program->pid"], $program->lines('done'));
        self::assertSame(["$program->pid"], $program->lines('shutdown'));
    }

    public function test_limit_gives_up(): void
    {
        $program = $this->launch(<<<'PHP'
            $pool = new Pool(workers: 2, maxRestarts: 2, worker: function (int $task) {
                say("worker $task");
                if ($task === 0) {
                    return 7;
                }
                sleep(600);
            });
            try {
                $pool->run();
            } catch (Prefork\GaveUpException $error) {
                say('error', $error->getMessage());
                say('left', (string) pcntl_waitpid(-1, $status, WNOHANG));
                exit(5);
            }
            PHP);
        self::assertSame(5, $program->end(), $program->err());
        self::assertMatchesRegularExpression(
            '/^the pool: Too many restarts: child 0 .* status 7$/',
            $program->lines('error')[0],
        );
        self::assertSame(['-1'], $program->lines('left'));
        self::assertCount(3, $program->lines('worker 0'));
    }

    /** @return list<array{int}> */
    public static function stopSignals(): array
    {
        return [[SIGTERM], [SIGINT], [SIGQUIT]];
    }

    /** @dataProvider stopSignals */
    public function test_terminated_supervisor_leaves_nobody(int $signal): void
    {
        $program = $this->launch(self::STAY);
        $program->waitFor('worker', 3);
        $program->signal($signal);
        self::assertSame(-$signal, $program->end());
        self::assertCount(1, $program->lines('ended'));
        self::assertSame([], $program->processes());
    }

    public function test_killed_supervisor_leaves_nobody(): void
    {
        $program = $this->launch(self::STAY);
        $program->waitFor('worker', 3);
        $program->signal(SIGKILL);
        self::assertSame(-SIGKILL, $program->end());
        $program->waitUntilNobodyIsLeft();
    }

    public function test_event_order_and_fields(): void
    {
        $started = hrtime(true) / 1e9;
        $runs = 0;
        $pool = new Pool(workers: 2, maxRestarts: 1, worker: function (int $task) use (&$runs): void {
            if ($task === 1 && $runs === 0) {
                posix_kill(getmypid(), SIGKILL);
            }
        });
        $events = [];
        foreach ($pool as $event) {
            $events[] = $event;
            if ($event->type === EventType::Exited && $event->taskId === 1) {
                $runs++;
            }
        }
        $types = array_map(static fn (Event $event) => $event->type, $events);
        self::assertSame([EventType::Starting, EventType::Started, EventType::Started], array_slice($types, 0, 3));
        self::assertSame(EventType::Done, end($types));
        self::assertCount(3, self::ofType($events, EventType::Started));
        self::assertCount(3, self::ofType($events, EventType::Exited));
        self::assertCount(8, $events);
        $times = array_map(static fn (Event $event) => $event->time, $events);
        $sorted = $times;
        sort($sorted);
        self::assertSame($sorted, $times);
        self::assertTrue($started <= $times[0] && end($times) <= hrtime(true) / 1e9);

        $mine = array_values(array_filter($events, static fn (Event $event) => $event->taskId === 1));
        [$killed, $normal] = self::ofType($mine, EventType::Exited);
        self::assertSame(
            array_map(static fn ($event) => $event->pid, self::ofType($mine, EventType::Started)),
            [$killed->pid, $normal->pid],
        );
        self::assertSame([SIGKILL, null, true], [$killed->signal, $killed->exitCode, $killed->willRestart]);
        self::assertSame([LOG_WARNING, 1, 0], [$killed->level, $killed->restarts, $killed->error]);
        self::assertSame("child 1 (pid $killed->pid) killed by signal 9, restarting", $killed->message);
        self::assertSame('worker_exited', $killed->name);
        self::assertSame([0.0, false, false], [$killed->delay, $killed->coreDumped, $killed->isSpare]);
        self::assertSame([null, 0, false], [$normal->signal, $normal->exitCode, $normal->willRestart]);
        self::assertGreaterThan(0, $normal->maxRssKib);
        self::assertGreaterThan(0, $normal->userTime + $normal->systemTime);
        self::assertSame([null, null, 2], [$events[0]->taskId, $events[0]->pid, $events[0]->workerCount]);
        $this->expectException(\Error::class);
        $killed->pid = 0;
    }

    public function test_graceful_stop(): void
    {
        $pool = new Pool(workers: 2, readyTimeout: 60, worker: static function (): int {
            pcntl_signal(SIGTERM, SIG_IGN);
            $stop = Worker::stopStream();
            Worker::ready();
            [$readable, $none] = [[$stop], null];
            return stream_select($readable, $none, $none, 60) === 1 && Worker::shouldStop() ? 3 : 4;
        });
        self::eventsUntil($pool, EventType::Ready, 2);
        $pool->stop();
        $rest = self::eventsUntil($pool, EventType::Done);
        self::assertSame(EventType::Stopping, $rest[0]->type);
        self::assertSame([3, 3], array_map(
            static fn ($event) => $event->exitCode,
            self::ofType($rest, EventType::Exited),
        ));
        self::assertSame([], iterator_to_array($pool->events(), false));

        $pool = new Pool(workers: 1, readyTimeout: 60, stopTimeout: 0.05, worker: static function (): void {
            pcntl_signal(SIGTERM, SIG_IGN);
            Worker::ready();
            (self::stay())();
        });
        self::eventsUntil($pool, EventType::Ready);
        $pool->stop();
        $rest = array_map(
            static fn ($event) => [$event->type, $event->signal],
            self::eventsUntil($pool, EventType::Done),
        );
        self::assertSame([[EventType::Stopping, null], [EventType::Killed, null],
            [EventType::Exited, SIGKILL], [EventType::Done, null]], $rest);
    }

    public function test_rolling_reload(): void
    {
        foreach (['new', 'kept'] as $way) {
            $server = $this->launch($this->example('http_server.php'), ['PORT' => '0', 'WORKERS' => '2', 'GRACE_S' => '5']);
            $port = $server->waitForError('listening on http:\/\/127\.0\.0\.1:(\d+)')[0];
            $server->waitForError('child (\d) \(pid \d+\) is ready', 2);
            $load = proc_open([getenv('LOAD'), $port, '4', $way], [1 => ['pipe', 'w']], $pipes);
            for ($reload = 1; $reload <= 10; $reload++) {
                $server->signal(SIGHUP);
                $server->waitForError('(.*) exited normally', 2 * $reload);
            }
            proc_terminate($load, SIGTERM);
            $line = stream_get_contents($pipes[1]);
            proc_close($load);
            self::assertMatchesRegularExpression('/^answered [1-9]\d* lost 0 refused 0 late 0$/', trim($line), $way);
            $server->signal(SIGTERM);
            self::assertSame(-SIGTERM, $server->end());

            // In each slot the new worker is ready before the old one has ended.
            $changes = $server->waitForError('child \d \(pid \d+\) (started|is ready|exited)', 66);
            foreach ([0, 1] as $task) {
                preg_match_all("/^child $task \\(pid \\d+\\) (started|is ready|exited)/m", $server->err(), $match);
                self::assertSame(
                    ['started', 'is ready', ...array_merge(...array_fill(0, 10, ['started', 'is ready', 'exited']))],
                    array_slice($match[1], 0, 32),
                );
            }
            self::assertCount(66, array_slice($changes, 0, 66));
        }
    }

    public function test_resize(): void
    {
        $pool = new Pool(self::stay(), 2);
        self::eventsUntil($pool, EventType::Started, 2);
        $pool->resize(4);
        $started = self::ofType(self::eventsUntil($pool, EventType::Started, 2), EventType::Started);
        self::assertSame([2, 3], array_map(static fn ($event) => $event->taskId, $started));
        self::assertSame([4, 4], [$pool->workerCount(), $pool->aliveCount()]);
        $pool->resize(1);
        $gone = self::ofType(self::eventsUntil($pool, EventType::Exited, 3), EventType::Exited);
        self::assertEqualsCanonicalizing([1, 2, 3], array_map(static fn ($event) => $event->taskId, $gone));
        self::assertSame([1, 1], [$pool->workerCount(), $pool->aliveCount()]);
        $error = self::refused(static fn () => $pool->resize(0), InvalidValueException::class);
        self::assertSame('count', $error->parameter);
        $pool->shutdown();
    }

    public function test_pids_and_states(): void
    {
        $pool = new Pool(workers: 2, worker: static fn (int $task) => $task === 1 ? 0 : (self::stay())());
        $started = self::ofType(self::eventsUntil($pool, EventType::Exited), EventType::Started);
        [$stays, $done] = $pool->workers();
        self::assertSame($started[0]->pid, $stays->pid);
        self::assertSame([0, WorkerState::Ready, 0], [$stays->taskId, $stays->state, $stays->restarts]);
        self::assertSame([1, WorkerState::Done, null], [$done->taskId, $done->state, $done->pid]);
        self::assertSame(1, $pool->aliveCount());
        $pool->sendSignal(SIGKILL, 0);
        self::eventsUntil($pool, EventType::Started);
        $again = $pool->worker(0);
        self::assertSame(1, $again->restarts);
        self::assertNotContains($again->pid, [null, $stays->pid]);
        $pool->replaceWorker(1);
        self::eventsUntil($pool, EventType::Started);
        self::assertNotNull($pool->worker(1)->pid);
        $pool->shutdown();
    }

    public function test_shared_listening_socket(): void
    {
        $program = $this->launch(<<<'PHP'
            [$listener] = Sockets::bind(0, '127.0.0.1');
            say('port', (string) $listener->port());
            (new Pool(workers: 2, worker: function (int $task) use ($listener) {
                $connection = stream_socket_accept($listener->stream(), 60);
                fwrite($connection, "task $task\n");
                fgets($connection);
            }))->run();
            PHP);
        $address = 'tcp://127.0.0.1:' . $program->waitFor('port')[0];
        // Each worker takes one, and waits: the second is served by the other worker.
        $connections = [stream_socket_client($address), stream_socket_client($address)];
        self::assertEqualsCanonicalizing(["task 0\n", "task 1\n"], array_map('fgets', $connections));
        array_map('fclose', $connections);
        self::assertSame(0, $program->end(), $program->err());
    }

    public function test_errors_as_the_languages_own(): void
    {
        $bad = [['workers', 65537], ['workers', -5_000_000_000], ['maxRestarts', 2 ** 32],
            ['stopTimeout', -1.0], ['stopTimeout', NAN], ['minUptime', INF], ['stopSignal', 1000],
            ['backoff', [2, 1]], ['backoff', [1]], ['lifetime', ['x', 1]], ['restartWindow', [1, 0]],
            ['name', str_repeat('x', 64)], ['name', "a\0b"], ['exitActions', [256 => ExitAction::Done]],
            ['exitActions', [1 => 'done']], ['spares', -1], ['replaceWidth', 0], ['fds', ['a:b' => 0]],
            ['fds', ['a' => 'b']], ['foreign', true], ['env', []], ['exec', []],
            ['exec', ['there/is\0none', "\0"]], ['exec', ['prefork-has-no-such-program']]];
        foreach ($bad as [$parameter, $value]) {
            $error = self::refused(
                static fn () => new Pool(...['worker' => self::stay(), $parameter => $value]),
                InvalidValueException::class,
            );
            self::assertSame([$parameter, PCNTL_EINVAL], [$error->parameter, $error->errno]);
            self::assertStringStartsWith("$parameter must be ", $error->getMessage());
        }
        self::assertSame('worker', self::refused(static fn () => new Pool())->parameter);

        $pool = new Pool(self::stay(), 1);
        self::assertSame(PCNTL_EINVAL, self::refused($pool->stop(...))->errno);
        self::eventsUntil($pool, EventType::Started);
        self::assertSame('taskId', self::refused(static fn () => $pool->worker(1))->parameter);
        self::assertSame('taskId', self::refused(static fn () => $pool->sendSignal(SIGTERM, -1))->parameter);
        self::assertSame('signal', self::refused(static fn () => $pool->sendSignal(0))->parameter);
        self::assertSame('signal', self::refused(static fn () => $pool->handleSignal(SIGKILL))->parameter);
        self::assertSame(114, self::refused($pool->start(...))->errno); // EALREADY
        $pool->shutdown();
        self::assertStringContainsString('closed', self::refused($pool->stop(...))->getMessage());

        $pool = new Pool(static fn () => 1, 1, maxRestarts: 0);
        self::assertSame(0, self::refused(
            static fn () => iterator_to_array($pool->events(), false),
            GaveUpException::class,
        )->errno);
        self::refused(
            (new Pool(static fn () => 9, 1, exitActions: [9 => ExitAction::Fatal]))->run(...),
            FatalExitException::class,
        );
        (new Pool(static fn () => 9, 1, maxRestarts: 0, exitActions: [9 => ExitAction::Done]))->run();

        foreach ([Worker::ready(...), Worker::heartbeat(...), Worker::retire(...), Worker::stopFd(...)] as $call) {
            self::assertSame(PCNTL_ECHILD, self::refused($call)->errno);
        }
        $taken = stream_socket_server('tcp://127.0.0.1:0');
        $port = (int) substr(strrchr(stream_socket_get_name($taken, false), ':'), 1);
        self::assertSame(98, self::refused(static fn () => Sockets::bind($port, '127.0.0.1'))->errno);
        self::refused(static fn () => Sockets::bind(0, 'a..b'), ResolveException::class);
        self::assertSame(17, self::refused(static fn () => Sockets::bindUnix(__FILE__))->errno); // EEXIST
    }

    public function test_use_after_fork_refused(): void
    {
        $pool = new Pool(workers: 1, worker: static function () use (&$pool): int {
            foreach ([$pool->stop(...), $pool->reload(...), $pool->workers(...), $pool->poll(...)] as $call) {
                try {
                    $call();
                    return 1;
                } catch (PreforkException $error) {
                    if ($error->errno !== PCNTL_ECHILD) {
                        return 2;
                    }
                }
            }
            return 0;
        });
        $exits = self::ofType(iterator_to_array($pool->events(), false), EventType::Exited);
        self::assertSame(0, $exits[0]->exitCode);

        $program = $this->launch(<<<'PHP'
            $pool = new Pool(fn () => sleep(600), 1);
            foreach ($pool as $event) {
                if ($event->type === EventType::Started) {
                    break;
                }
            }
            $child = pcntl_fork(); // which is no worker
            if ($child === 0) {
                try {
                    $pool->stop();
                } catch (Prefork\PreforkException $error) {
                    exit($error->errno); // with the destructor of the pool
                }
                exit(0);
            }
            pcntl_waitpid($child, $status);
            say('status', (string) pcntl_wexitstatus($status), (string) $pool->aliveCount());
            $pool->shutdown();
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame([PCNTL_ECHILD . ' 1'], $program->lines('status'));
    }

    private const CTRL_C = <<<'PHP'
        pcntl_async_signals((bool) getenv('ASYNC'));
        $pool = new Pool(workers: 2, signals: getenv('OWN') ? Signals::None : Signals::Standard, worker: function () {
            say('worker');
            sleep(600);
        });
        if (getenv('OWN')) {
            pcntl_signal(SIGINT, function () {
                say('noticed', (string) hrtime(true));
                throw new Exception('Ctrl-C');
            });
        }
        try {
            $pool->run(function (Event $event) {
                if ($event->type === EventType::Stopping && !getenv('OWN')) {
                    say('noticed', (string) hrtime(true));
                }
            });
        } catch (Exception $error) {
            exit(3); // run() has stopped the workers
        }
        Process::dieOfSignal($pool->stoppedBy());
        PHP;

    /** @return array<string, array{array<string, string>, int}> */
    public static function waysToHandleCtrlC(): array
    {
        return [
            'by the pool' => [['OWN' => '', 'ASYNC' => ''], -SIGINT],
            'by a handler' => [['OWN' => '1', 'ASYNC' => ''], 3],
            'by an asynchronous handler' => [['OWN' => '1', 'ASYNC' => '1'], 3],
        ];
    }

    /** @dataProvider waysToHandleCtrlC */
    public function test_ctrl_c_within_100_ms(array $env, int $status): void
    {
        $took = [];
        for ($try = 0; $try < 20; $try++) { // the best of some: the machine may be busy
            $program = $this->launch(self::CTRL_C, $env);
            $program->waitFor('worker', 2);
            $began = hrtime(true);
            $targets = $try % 2 === 0 ? [$program->pid] : $program->processes(); // as a terminal does
            foreach ($targets as $pid) {
                posix_kill($pid, SIGINT);
            }
            self::assertSame($status, $program->end(), $program->err());
            $ended = hrtime(true);
            self::assertCount(1, $program->lines('noticed'));
            $took[] = [((int) $program->lines('noticed')[0] - $began) / 1e6, ($ended - $began) / 1e6];
            if ($try > 0 && min(array_column($took, 0)) < 100 && min(array_column($took, 1)) < 100) {
                return; // noticed, and the sleeping workers have ended
            }
        }
        self::fail('Ctrl-C took ' . json_encode($took) . ' ms');
    }

    public function test_library_missing_or_too_old(): void
    {
        $missing = $this->launch('Process::cpuCount();', ['PREFORK_LIBRARY' => '/nowhere/libprefork.so.0']);
        self::assertSame(255, $missing->end());
        self::assertStringContainsString('the shared library libprefork was not found', $missing->err());
        self::assertStringContainsString('/nowhere/libprefork.so.0', $missing->err());
        self::assertStringContainsString('set PREFORK_LIBRARY to the path', $missing->err());

        $version = 'const char *pf_version(void) { return "%s"; }';
        foreach ([
            [sprintf($version, '0.0.9'), 'has version 0.0.9; libprefork 0.2.0 or later is needed'],
            [sprintf($version, '0.2.0'), 'has version 0.2.0 and lacks pf_task_id; libprefork'],
            ['int other;', 'is not libprefork'],
        ] as [$source, $message]) {
            $path = tempnam(sys_get_temp_dir(), 'prefork');
            file_put_contents("$path.c", $source);
            exec("cc -shared -o $path $path.c", $output, $status);
            self::assertSame(0, $status);
            $program = $this->launch('Process::cpuCount();', ['PREFORK_LIBRARY' => $path]);
            self::assertSame(255, $program->end());
            self::assertStringContainsString($message, $program->err());
            unlink($path);
            unlink("$path.c");
        }
    }
}
