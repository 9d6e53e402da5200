<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Tests;

use Prefork\{EventType, Pool};

/** Workers by exec, upgrades and daemons. */
final class ExecTest extends ProcessCase
{
    public function test_each_worker_executes_this_program_anew(): void
    {
        $program = $this->launch(<<<'PHP'
            say('program', (string) getmypid(), $argv[1]);
            [$listener] = Sockets::bind(0, '127.0.0.1');
            say('port', (string) $listener->port());
            register_shutdown_function(fn () => say('shutdown', (string) getmypid()));
            $pool = new Pool(name: 'web', exec: true, workers: 2, stopSignal: 0, readyTimeout: 60,
                worker: function (int $task) use ($listener) {
                    $descriptors = scandir('/proc/' . getmypid() . '/fd');
                    say('worker', (string) $task, Worker::poolName(), (string) getmypid(), (string) count($descriptors));
                    Worker::ready();
                    while (!Worker::waitForStop(0.05)) {
                        if ($connection = $listener->accept()) {
                            fwrite($connection, "task $task\n");
                            fclose($connection);
                        }
                    }
                });
            $pool->run();
            say('after');
            PHP, [], ['argument']);
        $workers = $program->waitFor('worker', 2);
        self::assertCount(3, $program->lines('program'));
        foreach ($program->lines('program') as $line) {
            self::assertStringEndsWith(' argument', $line);
        }
        self::assertCount(1, array_unique($program->lines('port'))); // one socket
        foreach ($workers as $worker) {
            self::assertMatchesRegularExpression('/^[01] web \d+ \d+$/', $worker);
        }
        $client = stream_socket_client('tcp://127.0.0.1:' . $program->lines('port')[0]);
        self::assertMatchesRegularExpression('/^task [01]$/', trim(fgets($client)));
        $program->signal(SIGHUP);
        $program->waitFor('worker', 4);
        // Nothing is inherited that should not be, also not by the workers of a reload.
        $counts = array_map(static fn ($line) => explode(' ', $line)[3], $program->lines('worker'));
        self::assertCount(1, array_unique($counts), implode(' ', $counts));
        $program->signal(SIGTERM);
        self::assertSame(0, $program->end(), $program->err());
        self::assertCount(1, $program->lines('after'));
        self::assertCount(5, $program->lines('shutdown'));
    }

    public function test_a_worker_does_not_pass_on_what_names_it(): void
    {
        $program = $this->launch(<<<'PHP'
            (new Pool(exec: true, workers: 1, worker: function () {
                say('worker', ...preg_grep('/^PF_/', array_keys($_SERVER + $_ENV + getenv())));
            }))->run();
            PHP);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame([''], $program->lines('worker'));
    }

    public function test_a_killed_supervisor_leaves_no_executed_worker(): void
    {
        $program = $this->launch(<<<'PHP'
            (new Pool(name: 'x', exec: true, workers: 2, worker: function () {
                say('worker');
                sleep(600);
            }))->run();
            PHP);
        $program->waitFor('worker', 2);
        $program->signal(SIGKILL);
        self::assertSame(-SIGKILL, $program->end());
        $program->waitUntilNobodyIsLeft();
    }

    public function test_a_worker_must_come_to_its_pool(): void
    {
        $program = $this->launch(<<<'PHP'
            (new Pool(name: Worker::isWorker() ? 'other' : 'x', exec: true, workers: 1, maxRestarts: 0,
                worker: fn () => null))->run();
            PHP);
        self::assertSame(255, $program->end());
        self::assertStringContainsString('this process is a worker of the pool "x", and must', $program->err());
    }

    public function test_another_program(): void
    {
        $output = tempnam(sys_get_temp_dir(), 'prefork');
        $pool = new Pool(workers: 1, foreign: true, env: ['NAME' => 'value'], restartPolicy: \Prefork\RestartPolicy::Never,
            exec: ['sh', '-c', 'echo "$NAME $1 ${PF_POOL:-}" >' . $output . '; exit 3', 'sh', 'argument']);
        $exit = self::ofType(iterator_to_array($pool->events(), false), EventType::Exited)[0];
        self::assertSame(3, $exit->exitCode);
        self::assertSame("value argument \n", file_get_contents($output));
        unlink($output);

        // Until then it counts as one that has not started well, however slow the machine is.
        $pool = new Pool(workers: 1, foreign: true, minUptime: 60.0, exec: ['sleep', '600']);
        self::eventsUntil($pool, EventType::Started);
        $pool->setExec([PHP_BINARY, '-r', 'exit(9);']);
        $pool->replaceWorker(0);
        $exit = self::ofType(self::eventsUntil($pool, EventType::ReloadFailed), EventType::Exited)[0];
        self::assertSame(9, $exit->exitCode);
        $pool->shutdown();

        $pool = new Pool(workers: 1, foreign: true, exec: ['/no/such/program']);
        $failed = self::ofType(self::eventsUntil($pool, EventType::StartFailed), EventType::StartFailed)[0];
        self::assertSame(-2, $failed->error); // ENOENT
        $pool->close();
    }

    /** @return list<array{string}> */
    public static function ways(): array
    {
        return [['false'], ['true']];
    }

    /** @dataProvider ways */
    public function test_an_upgrade_keeps_workers_and_sockets(string $exec): void
    {
        $program = $this->launch(<<<PHP
            say('program', (string) getmypid());
            [\$listener] = Sockets::bind(0, '127.0.0.1');
            say('port', (string) \$listener->port());
            \$pool = new Pool(name: 'web', exec: $exec, workers: 2, worker: function (int \$task) {
                say('worker', (string) \$task);
                while (true) {
                    sleep(600);
                }
            });
            pcntl_signal(SIGUSR2, fn () => \$pool->upgrade());
            \$pool->run(fn (Event \$event) => say('event', \$event->name));
            PHP);
        $program->waitFor('worker', 2);
        $program->signal(SIGUSR2);
        $program->waitFor('event adopted');
        self::assertSame([(string) $program->pid], array_unique(array_slice($program->lines('program'), -1)));
        self::assertCount(1, array_unique($program->lines('port')));
        self::assertCount(2, $program->lines('worker'));
        $program->signal(SIGHUP);
        $program->waitFor('worker', 4);
        $program->waitFor('event reloaded');
        $program->signal(SIGTERM);
        self::assertSame(0, $program->end(), $program->err());
        self::assertSame([], $program->processes());
    }

    public function test_an_upgrade_that_fails_goes_on(): void
    {
        $program = $this->launch(<<<'PHP'
            $pool = new Pool(name: 'web', workers: 1, worker: fn () => sleep(600));
            foreach ($pool as $event) {
                if ($event->type === EventType::Started) {
                    $pool->upgrade('/no/such/program');
                    $pool->stop();
                }
            }
            PHP);
        self::assertSame(0, $program->end());
        self::assertMatchesRegularExpression('/prefork: the upgrade failed: (No such file|.*cancel)/i', $program->err());
    }

    public function test_a_daemon_is_ready_when_its_workers_are(): void
    {
        $file = sys_get_temp_dir() . '/prefork-' . bin2hex(random_bytes(8)) . '.pid';
        $program = $this->launch(<<<'PHP'
            ob_start();
            echo "started\n";
            Process::daemonize($argv[1]);
            $pool = new Pool(workers: 2, readyTimeout: 60, worker: function () {
                Worker::ready();
                while (true) {
                    sleep(600);
                }
            });
            $pool->run();
            Process::dieOfSignal($pool->stoppedBy());
            PHP, [], [$file]);
        self::assertSame(0, $program->end(), $program->err());
        self::assertCount(1, $program->lines('started'));
        $pid = (int) file_get_contents($file);
        self::assertCount(3, $program->processes());
        posix_kill($pid, SIGTERM);
        $program->waitUntilNobodyIsLeft();
        self::assertFileDoesNotExist($file);
    }
}
