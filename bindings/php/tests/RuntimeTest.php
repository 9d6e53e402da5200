<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Tests;

use Prefork\{Counter, EventType, LimitAction, Pool, Process, ReapOrphans, RestartPolicy, Signals, Sockets};
use Prefork\Worker;

/** What a fork, a signal and the end of a worker mean to PHP. */
final class RuntimeTest extends ProcessCase
{
    public function test_buffered_output_is_written_once(): void
    {
        $program = $this->launch(<<<'PHP'
            ob_start();
            echo "before\n";
            (new Pool(workers: 3, worker: function (int $task) {
                ob_start();
                echo "worker $task\n";
            }))->run();
            ob_end_flush();
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertCount(1, $program->lines('before'));
        self::assertEqualsCanonicalizing(['0', '1', '2'], $program->lines('worker'));
    }

    public function test_random_numbers_differ(): void
    {
        $program = $this->launch(<<<'PHP'
            mt_srand(1);
            (new Pool(fn () => say('number', (string) mt_rand()), 4))->run();
            PHP);
        self::assertSame(0, $program->end());
        self::assertCount(4, array_unique($program->lines('number')));
    }

    public function test_the_end_of_a_worker_runs_what_the_worker_has_registered(): void
    {
        $program = $this->launch(<<<'PHP'
            final class Connection
            {
                public function __construct(private string $name) {}
                public function __destruct() { say('destructed', $this->name, (string) getmypid()); }
            }
            $connection = new Connection('of the supervisor');
            register_shutdown_function(fn () => say('shutdown', 'supervisor', (string) getmypid()));
            (new Pool(workers: 1, worker: function () {
                register_shutdown_function(function () {
                    say('shutdown', 'worker');
                    register_shutdown_function(fn () => say('shutdown', 'nested'));
                });
            }))->run();
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame(['worker', 'nested', "supervisor $program->pid"], $program->lines('shutdown'));
        self::assertSame(["of the supervisor $program->pid"], $program->lines('destructed'));
    }

    public function test_files_that_a_worker_leaves_open_are_complete(): void
    {
        $directory = sys_get_temp_dir() . '/prefork-' . bin2hex(random_bytes(8));
        mkdir($directory);
        $program = $this->launch(<<<'PHP'
            $inherited = fopen('compress.zlib://' . "$argv[1]/inherited.gz", 'w');
            fwrite($inherited, 'supervisor');
            $pool = new Pool(workers: 1, worker: function (int $task) use ($argv): void {
                global $kept;
                fwrite($kept['gz'] = gzopen("$argv[1]/a.gz", 'w'), 'worker');
                $kept['filtered'] = fopen("$argv[1]/b.txt", 'w');
                stream_filter_append($kept['filtered'], 'convert.base64-encode', STREAM_FILTER_WRITE);
                fwrite($kept['filtered'], 'worker!');
            });
            $pool->run();
            fclose($inherited);
            PHP, [], [$directory]);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame(['worker'], gzfile("$directory/a.gz"));
        self::assertSame(base64_encode('worker!'), file_get_contents("$directory/b.txt"));
        self::assertSame(['supervisor'], gzfile("$directory/inherited.gz"));
        array_map('unlink', glob("$directory/*"));
        rmdir($directory);
    }

    public function test_results_are_exit_statuses(): void
    {
        $program = $this->launch(<<<'PHP'
            $pool = new Pool(workers: 6, restartPolicy: Prefork\RestartPolicy::Never, worker: fn (int $task) => match ($task) {
                0 => 0,
                1 => null,
                2 => 77,
                3 => exit(78),
                4 => throw new LogicException('of worker 4'),
                5 => 'text',
            });
            foreach ($pool as $event) {
                if ($event->type === EventType::Exited) {
                    say('status', (string) $event->taskId, (string) $event->exitCode);
                }
            }
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertEqualsCanonicalizing(['0 0', '1 0', '2 77', '3 78', '4 255', '5 255'], $program->lines('status'));
        self::assertStringContainsString('Uncaught LogicException: of worker 4', $program->err());
        self::assertStringContainsString('the function of a worker returned string; expected an int', $program->err());
    }

    public function test_a_shutdown_function_may_exit_or_throw(): void
    {
        $program = $this->launch(<<<'PHP'
            $pool = new Pool(workers: 2, restartPolicy: Prefork\RestartPolicy::Never, worker: function (int $task) {
                register_shutdown_function(function () use ($task) {
                    say('shutdown', (string) $task);
                    $task === 0 ? exit(5) : throw new Exception('in the end');
                });
                return 9;
            });
            foreach ($pool as $event) {
                if ($event->type === EventType::Exited) {
                    say('status', (string) $event->taskId, (string) $event->exitCode);
                }
            }
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertEqualsCanonicalizing(['0', '1'], $program->lines('shutdown'));
        self::assertEqualsCanonicalizing(['0 9', '1 255'], $program->lines('status'));
        self::assertStringContainsString('Uncaught Exception: in the end', $program->err());
    }

    public function test_a_handler_of_exceptions_gets_those_of_workers(): void
    {
        $program = $this->launch(<<<'PHP'
            set_exception_handler(fn ($error) => say('handled', $error->getMessage()));
            (new Pool(fn () => throw new Exception('it'), 1, restartPolicy: Prefork\RestartPolicy::Never))->run();
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame(['it'], $program->lines('handled'));
    }

    public function test_the_signals_of_php_are_given_back(): void
    {
        $caught = static function (): string {
            preg_match('/^SigCgt:\s*(\w+)/m', file_get_contents('/proc/' . getmypid() . '/status'), $match);
            return $match[1];
        };
        $before = $caught();
        self::assertSame(0x4a07, hexdec($before) & 0x4a07); // HUP INT QUIT USR1 USR2 TERM
        $pool = new Pool(workers: 1, worker: static fn () => $caught() === $before ? 0 : 1);
        $events = self::eventsUntil($pool, EventType::Started);
        self::assertNotSame('', $events[0]->name);
        foreach ($pool as $event) {
            if ($event->type === EventType::Exited) {
                self::assertSame(0, $event->exitCode);
            }
        }
        self::assertSame($before, $caught());
        $pool = new Pool(self::stay(), 1);
        self::eventsUntil($pool, EventType::Started);
        $other = new Pool(self::stay(), 1);
        self::eventsUntil($other, EventType::Started);
        $other->close();
        $pool->close();
        self::assertSame($before, $caught());
    }

    public function test_a_worker_that_sleeps_is_stopped_at_once(): void
    {
        $pool = new Pool(self::stay(), 2);
        self::eventsUntil($pool, EventType::Started, 2);
        $pool->stop();
        foreach (self::ofType(iterator_to_array($pool->events(), false), EventType::Exited) as $exit) {
            self::assertSame(SIGTERM, $exit->signal);
        }
    }

    public function test_handlers_of_the_program_run_while_the_pool_waits(): void
    {
        foreach (['0', '1'] as $async) {
            $program = $this->launch(<<<'PHP'
                pcntl_async_signals((bool) getenv('ASYNC'));
                $pool = new Pool(workers: 1, signals: Signals::None, worker: function () {
                    say('worker', var_export(pcntl_signal_get_handler(SIGHUP), true));
                    sleep(600);
                });
                foreach ([SIGHUP, SIGTERM] as $signal) {
                    pcntl_signal($signal, fn (int $signal) => $pool->handleSignal($signal));
                }
                pcntl_signal(SIGUSR1, function () use ($pool) {
                    say('usr1', (string) $pool->workerCount());
                });
                $pool->run();
                say('by', (string) $pool->stoppedBy());
                PHP, ['ASYNC' => $async]);
            $program->waitFor('worker');
            for ($count = 1; $count <= 200; $count++) { // each is handled, also one that comes before the wait
                $program->signal(SIGUSR1);
                $program->waitFor('usr1', $count);
            }
            $program->signal(SIGHUP);
            $program->waitFor('worker', 2);
            $program->signal(SIGTERM);
            self::assertSame(0, $program->end(), $program->err());
            self::assertSame(['15'], $program->lines('by'));
            self::assertSame(['0', '0'], $program->lines('worker')); // none of the supervisor's
        }
    }

    public function test_a_worker_has_asynchronous_signals_as_the_supervisor(): void
    {
        foreach ([false, true] as $async) {
            $before = pcntl_async_signals($async);
            $pool = new Pool(workers: 1, worker: static fn () => pcntl_async_signals() === $async ? 0 : 1);
            $exit = self::ofType(iterator_to_array($pool->events(), false), EventType::Exited)[0];
            self::assertSame([0, $async], [$exit->exitCode, pcntl_async_signals($before)]);
        }
    }

    public function test_a_handler_that_throws_leaves_no_worker_behind(): void
    {
        $program = $this->launch(<<<'PHP'
            pcntl_async_signals(true);
            pcntl_signal(SIGUSR1, fn () => throw new Exception('in between'));
            $pool = new Pool(workers: 20, signals: Signals::None, worker: function () {
                posix_kill(posix_getppid(), SIGUSR1);
                sleep(600);
            });
            while (!$pool->isDone()) {
                try {
                    $pool->poll();
                    if ($pool->counter(Counter::Started) >= 20) {
                        $pool->stop();
                    }
                    usleep(1000);
                } catch (Exception) {
                    continue;
                }
            }
            say('ended');
            PHP);
        // An exception may also come outside of the block.
        self::assertContains($program->end(), [0, 255], $program->err());
        self::assertSame([], $program->processes());
    }

    public function test_hup_of_the_terminal_and_more_signals_of_the_pool(): void
    {
        $program = $this->launch(<<<'PHP'
            $pool = new Pool(workers: 1, minUptime: 0, worker: function (int $task) {
                pcntl_async_signals(true);
                pcntl_signal(SIGUSR1, fn () => say('usr1', (string) $task));
                say('worker');
                while (true) {
                    sleep(600);
                }
            });
            $pool->run(fn (Event $event) => say('event', $event->name));
            PHP);
        $program->waitFor('worker');
        $program->signal(SIGUSR1);
        $program->waitFor('usr1');
        $program->signal(SIGTTIN);
        $program->waitFor('worker', 2);
        $program->signal(SIGHUP);
        $program->waitFor('worker', 4);
        $program->waitFor('event reloaded');
        $program->signal(SIGTERM);
        self::assertSame(0, $program->end(), $program->err());
    }

    public function test_an_event_loop_supervises(): void
    {
        $pool = new Pool(fn (int $task) => $task, 2, maxRestarts: 1, limitAction: LimitAction::Degrade);
        $pool->start();
        $stream = $pool->stream();
        $names = [];
        while (!$pool->isDone()) {
            [$readable, $none] = [[$stream], null];
            self::assertSame(1, stream_select($readable, $none, $none, 60));
            foreach ($pool->poll() as $event) {
                $names[] = $event->name;
            }
        }
        self::assertSame('done', end($names));
        self::assertSame([3, 3, 2, 1], array_map($pool->counter(...), [
            Counter::Started, Counter::Exited, Counter::Abnormal, Counter::Restarted,
        ]));
        self::assertSame(3, $pool->counters()['Started']);
    }

    public function test_heartbeats_retirement_and_readiness(): void
    {
        $pool = new Pool(workers: 1, heartbeatTimeout: 0.05, readyTimeout: 60, maxRestarts: 1,
            worker: static function (): void {
                Worker::ready();
                for ($i = 0; $i < 5; $i++) {
                    Worker::heartbeat();
                    usleep(10000);
                }
                (self::stay())();
            });
        self::eventsUntil($pool, EventType::Unresponsive);
        $exit = self::ofType(self::eventsUntil($pool, EventType::Exited), EventType::Exited)[0];
        self::assertSame(SIGABRT, $exit->signal);
        self::assertSame('HeartbeatTimeout', $exit->reason->name);
        $pool->close();

        $pool = new Pool(workers: 1, minUptime: 0, worker: static function (): void {
            if (Worker::poolName() === '') {
                Worker::retire();
            }
            Worker::waitForStop();
        });
        $exit = self::ofType(self::eventsUntil($pool, EventType::Exited), EventType::Exited)[0];
        self::assertSame('Retire', $exit->reason->name);
        $pool->shutdown();
    }

    public function test_spares_and_single_workers(): void
    {
        $pool = new Pool(self::stay(), 1, spares: 1);
        self::eventsUntil($pool, EventType::SpareStarted);
        self::assertSame(1, $pool->counter(Counter::Spares));
        [$before] = $pool->workers();
        $pool->sendSignal(SIGKILL);
        $started = self::ofType(self::eventsUntil($pool, EventType::Started), EventType::Started)[0];
        self::assertSame(0, $started->taskId);
        self::assertNotSame($before->pid, $started->pid);
        $pool->setSpares(0);
        $pool->stopWorker(0);
        self::eventsUntil($pool, EventType::Exited);
        self::assertNull($pool->worker(0)->pid);
        $pool->kill();
        iterator_to_array($pool->events(), false);
        self::assertSame(0, $pool->aliveCount());
    }

    public function test_waiting_for_the_stop(): void
    {
        $pool = new Pool(workers: 1, stopSignal: 0, readyTimeout: 60, worker: static function (): int {
            if (Worker::shouldStop() || Worker::waitForStop(0.01)) {
                return 1;
            }
            Worker::ready();
            // Also for longer than any clock can count.
            return Worker::waitForStop(PHP_FLOAT_MAX) && Worker::waitForStop() && Worker::shouldStop() && Worker::waitForStop(5) ? 42 : 2;
        });
        self::eventsUntil($pool, EventType::Ready);
        $pool->stop();
        $exit = self::ofType(iterator_to_array($pool->events(), false), EventType::Exited)[0];
        self::assertSame(42, $exit->exitCode);
        self::assertSame('seconds', self::refused(static fn () => Worker::waitForStop(-1.0))->parameter);
    }

    public function test_descriptors_by_name(): void
    {
        [$mine, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $pipe = popen('cat', 'w');
        $pool = new Pool(workers: 1, fds: ['channel' => $theirs, 'cat' => $pipe, 'in' => 0],
            worker: static function (): int {
                fwrite(Worker::stream('channel'), "hello\n");
                return Worker::fd('in');
            });
        $exit = self::ofType(iterator_to_array($pool->events(), false), EventType::Exited)[0];
        self::assertSame(0, $exit->exitCode);
        self::assertSame("hello\n", fgets($mine));
        pclose($pipe);
    }

    public function test_sockets(): void
    {
        $directory = sys_get_temp_dir() . '/prefork-' . bin2hex(random_bytes(8));
        mkdir($directory);
        $listener = Sockets::bindUnix("$directory/socket", 0600);
        self::assertSame(["$directory/socket", null], [$listener->address(), $listener->port()]);
        self::assertSame(0600, fileperms("$directory/socket") & 0777);
        self::assertNull($listener->accept());
        $client = stream_socket_client("unix://$directory/socket");
        fwrite($client, "x\n");
        self::assertSame("x\n", fgets($listener->accept()));
        unlink("$directory/socket");
        rmdir($directory);
        [$listener] = Sockets::bind(0, 'localhost', ipVersion: 4, backlog: 5, reusePort: true);
        self::assertGreaterThan(0, $listener->port());
        [$again] = Sockets::bind($listener->port(), '127.0.0.1', reusePort: true);
        self::assertSame($listener->address(), $again->address());
        self::assertSame([], Sockets::fromSystemd());
        self::assertSame('ipVersion', self::refused(static fn () => Sockets::bind(0, ipVersion: 5))->parameter);
        self::assertSame('host', self::refused(static fn () => Sockets::bind(0, "::1\0"))->parameter);
        self::assertSame('name', self::refused(static fn () => Worker::fd("a\0b"))->parameter);
        self::assertSame('path', self::refused(static fn () => (new Pool(self::stay()))->upgrade("/x\0"))->parameter);
        self::assertSame('port', self::refused(static fn () => Sockets::bind(65536))->parameter);
        self::assertSame('mode', self::refused(static fn () => Sockets::bindUnix('/x', 01777))->parameter);
    }

    public function test_a_pool_that_is_left_kills_its_workers(): void
    {
        $pool = new Pool(self::stay(), 2, signals: Signals::None);
        foreach (self::ofType(self::eventsUntil($pool, EventType::Started, 2), EventType::Started) as $event) {
            $pids[] = $event->pid;
        }
        unset($pool);
        gc_collect_cycles();
        foreach ($pids as $pid) {
            self::assertFalse(posix_kill($pid, 0));
        }
        $pool = new Pool(static fn () => null, 1, restartPolicy: RestartPolicy::Never);
        $pool->close();
        $pool->close();
        self::assertTrue($pool->isClosed() && $pool->isDone() && $pool->stoppedBy() === null);
        Process::dieOfSignal($pool->stoppedBy());
        self::assertGreaterThan(0, Process::cpuCount());
    }

    public function test_systemd_is_told(): void
    {
        $path = sys_get_temp_dir() . '/prefork-' . bin2hex(random_bytes(8));
        $socket = stream_socket_server("udg://$path", $code, $message, STREAM_SERVER_BIND);
        $waitFor = static function (string $message) use ($socket): void {
            do {
                [$readable, $none] = [[$socket], null];
                self::assertSame(1, stream_select($readable, $none, $none, 60), $message);
            } while (!str_contains(stream_socket_recvfrom($socket, 4096), $message));
        };
        $program = $this->launch(<<<'PHP'
            (new Pool(managerNotify: true, workers: 1, stopSignal: 0, worker: function () {
                say('variable', var_export(getenv('NOTIFY_SOCKET'), true));
                Worker::waitForStop();
            }))->run();
            PHP, ['NOTIFY_SOCKET' => $path]);
        $waitFor('READY=1');
        self::assertSame(['false'], $program->waitFor('variable'));
        $program->signal(SIGTERM);
        $waitFor('STOPPING=1');
        self::assertSame(0, $program->end(), $program->err());
        unlink($path);
    }

    public function test_a_pool_that_reaps_orphans_waits_inside_of_the_library(): void
    {
        foreach ([ReapOrphans::Adopted, ReapOrphans::All] as $mode) {
            $program = $this->launch(<<<'PHP'
                $pool = new Pool(workers: 1, reapOrphans: Prefork\ReapOrphans::from((int) $argv[1]), worker: function () {
                    say('worker');
                    sleep(600);
                });
                pcntl_signal(SIGUSR1, fn () => $pool->stop());
                $pool->run();
                PHP, [], [(string) $mode->value]);
            $program->waitFor('worker');
            $program->signal(SIGUSR1);
            self::assertSame(0, $program->end(), $program->err());
        }
    }

    public function test_a_pool_can_be_woken(): void
    {
        $pool = new Pool(self::stay(), 1, signals: Signals::None);
        self::eventsUntil($pool, EventType::Started);
        $pool->poll();
        [$readable, $none] = [[$pool->stream()], null];
        self::assertSame(0, stream_select($readable, $none, $none, 0));
        $pool->wake();
        [$readable, $none] = [[$pool->stream()], null];
        self::assertSame(1, stream_select($readable, $none, $none, 60));
        self::assertSame([], $pool->poll());
        $pool->close();
    }

    public function test_the_library_is_found_by_pkg_config(): void
    {
        $library = getenv('LD_LIBRARY_PATH');
        $program = $this->launch("say('version', Process::libraryVersion());", [
            'LD_LIBRARY_PATH' => '',
            'PKG_CONFIG_PATH' => "$library/pkgconfig",
        ]);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame([Process::libraryVersion()], $program->lines('version'));
    }

    public function test_metrics_for_prometheus(): void
    {
        $server = $this->launch($this->example('metrics.php'), ['METRICS_PORT' => '0', 'WORKERS' => '3']);
        [$port] = $server->waitForError('metrics at http:\/\/127\.0\.0\.1:(\d+)');
        $server->waitForError('(child) 2 ');
        $text = file_get_contents("http://127.0.0.1:$port/metrics");
        self::assertStringContainsString("# TYPE prefork_started_total counter\nprefork_started_total 3\n", $text);
        self::assertStringContainsString("# TYPE prefork_alive gauge\nprefork_alive 3\n", $text);
        $server->signal(SIGTERM);
        self::assertSame(-SIGTERM, $server->end());
    }

    public function test_the_example_answers_as_http(): void
    {
        $server = $this->launch($this->example('http_server.php'), ['PORT' => '0', 'WORKERS' => '1']);
        [$port] = $server->waitForError('listening on http:\/\/127\.0\.0\.1:(\d+)');
        $client = stream_socket_client("tcp://127.0.0.1:$port");
        stream_set_timeout($client, 60);
        fwrite($client, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /other HTTP/1.1\r\n");
        $body = "hello from pid (\\d+), task 0\n";
        $answer = '';
        while (!str_contains($answer, 'task 0')) {
            $answer .= fread($client, 4096);
        }
        self::assertMatchesRegularExpression("/^HTTP\\/1\\.1 200 OK\r\n.*Content-Length: \\d+\r\n\r\n$body$/s", $answer);
        fwrite($client, "Connection: close\r\n\r\n");
        $answer = stream_get_contents($client);
        self::assertStringStartsWith('HTTP/1.1 404 Not Found', $answer);
        self::assertStringContainsString("\r\nConnection: close\r\n", $answer);
        $server->signal(SIGTERM);
        self::assertSame(-SIGTERM, $server->end());
    }
}
