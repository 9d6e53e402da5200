<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Tests;

/** A program of PHP that runs beside the tests. Every wait has a deadline. */
final class Program
{
    private const PATIENCE_S = 60;

    public readonly int $pid;
    public readonly string $file;
    /** @var resource */
    private $process;
    private string $directory;
    private string $mark;
    private ?int $status = null;

    /**
     * @param string $code PHP without the opening tag, or the path of a file
     * @param array<string, string> $env
     * @param list<string> $arguments
     */
    public function __construct(string $code, array $env = [], array $arguments = [])
    {
        $this->directory = sys_get_temp_dir() . '/prefork-' . bin2hex(random_bytes(8));
        mkdir($this->directory);
        $this->file = is_file($code) ? $code : "$this->directory/program.php";
        if ($this->file !== $code) {
            file_put_contents($this->file, "<?php\nuse Prefork\\{Counter, Event, EventType, ExitAction,"
                . "Pool, Process, Signals, Sockets, Worker, WorkerState};\n"
                . 'require ' . var_export(realpath(__DIR__ . '/../vendor/autoload.php'), true) . ";\n"
                . "function say(string ...\$words) { file_put_contents('php://stdout', implode(' ', \$words)"
                . " . \"\\n\"); }\n$code");
        }
        $this->mark = 'PREFORK_TEST=' . basename($this->directory);
        $this->process = proc_open(
            [PHP_BINARY, $this->file, ...$arguments],
            [['file', '/dev/null', 'r'], ['file', "$this->directory/out", 'a'],
                ['file', "$this->directory/err", 'a']],
            $pipes,
            null,
            $env + ['PREFORK_TEST' => basename($this->directory)] + getenv(),
        );
        $this->pid = proc_get_status($this->process)['pid'];
    }

    public function out(): string
    {
        return file_get_contents("$this->directory/out");
    }

    public function err(): string
    {
        return file_get_contents("$this->directory/err");
    }

    /** @return list<string> the lines that begin with a word, which is cut off */
    public function lines(string $word): array
    {
        preg_match_all('/^' . preg_quote($word, '/') . ' ?(.*)\n/m', $this->out(), $matches);
        return $matches[1];
    }

    /** @return list<string> */
    public function waitFor(string $word, int $count = 1): array
    {
        self::until(function () use ($word, $count): bool {
            if (count($this->lines($word)) < $count && !$this->isRunning()) {
                throw new \RuntimeException("the program ended without \"$word\":\n{$this->out()}{$this->err()}");
            }
            return count($this->lines($word)) >= $count;
        }, "$count times \"$word\"");
        return $this->lines($word);
    }

    /**
     * Waits for lines of stderr.
     *
     * @param string $pattern with one group, whose matches are returned
     * @return list<string>
     */
    public function waitForError(string $pattern, int $count = 1): array
    {
        $found = [];
        self::until(function () use ($pattern, $count, &$found): bool {
            $ended = !$this->isRunning();
            preg_match_all("/^$pattern/m", $this->err(), $matches);
            $found = $matches[1];
            if ($ended && count($found) < $count) {
                throw new \RuntimeException("the program ended without \"$pattern\":\n{$this->err()}");
            }
            return count($found) >= $count;
        }, "$count times \"$pattern\"");
        return $found;
    }

    public function signal(int $number): void
    {
        posix_kill($this->pid, $number);
    }

    private function isRunning(): bool
    {
        if ($this->status === null) {
            $status = proc_get_status($this->process);
            if ($status['running']) {
                return true;
            }
            $this->status = $status['signaled'] ? -$status['termsig'] : $status['exitcode'];
        }
        return false;
    }

    /** Waits for the end. Returns the exit status, or the signal as a negative number. */
    public function end(): int
    {
        self::until(fn () => !$this->isRunning(), "the end of the program:\n{$this->out()}{$this->err()}");
        return $this->status;
    }

    /** @return list<int> processes of this program that are alive */
    public function processes(): array
    {
        $found = [];
        foreach (glob('/proc/[0-9]*', GLOB_NOSORT) as $directory) {
            $environment = @file_get_contents("$directory/environ") ?: '';
            if (str_contains("\0$environment", "\0$this->mark\0")) {
                $found[] = (int) basename($directory);
            }
        }
        return $found;
    }

    public function waitUntilNobodyIsLeft(): void
    {
        self::until(fn () => $this->processes() === [], 'nobody is left');
    }

    /** Kills what is left, and removes the files. */
    public function clean(): void
    {
        while (($left = $this->processes()) !== []) {
            foreach ($left as $pid) {
                posix_kill($pid, SIGKILL);
            }
            usleep(1000);
        }
        proc_close($this->process);
        array_map('unlink', glob("$this->directory/*"));
        rmdir($this->directory);
    }

    public static function until(\Closure $condition, string $what): void
    {
        $end = microtime(true) + self::PATIENCE_S;
        while (!$condition()) {
            if (microtime(true) > $end) {
                throw new \RuntimeException('not within ' . self::PATIENCE_S . " s: $what");
            }
            usleep(2000);
        }
    }
}
