// SPDX-License-Identifier: MIT

package prefork_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

const (
	patience   = 60 * time.Second // for what has to happen: machines can be busy
	programVar = "PREFORK_TEST_PROGRAM"
	valueVar   = "PREFORK_TEST_VALUE"
)

// A test program is this binary, told by a variable to be that program.
func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv(programVar); ok {
		programs[name]()
		return
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // of programs: their ends are waited for
	os.Exit(m.Run())
}

// must ends a test program.
func must(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: task %d: %v\n", os.Getenv(programVar), prefork.TaskID(), err)
		os.Exit(99)
	}
}

// check ends a test.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// ---- Pools of this process ---------------------------------------------------------------

// pool is one that a test runs itself.
type pool struct {
	*prefork.Pool
	t      *testing.T
	events <-chan prefork.Event
	seen   []prefork.Event
	ended  chan struct{}
	err    error // of Run, once ended is closed
	pipe   *os.File
	said   *bufio.Reader // what comes from it
}

// newPool makes one whose workers are the named test program. They write to said.
func newPool(t *testing.T, program string, options ...prefork.Option) *pool {
	t.Helper()
	expectNothingLeft(t)
	reader, writer, err := os.Pipe()
	check(t, err)
	t.Cleanup(func() { reader.Close(); writer.Close() })
	options = append([]prefork.Option{
		prefork.WithCommand("", nil, append(os.Environ(), programVar+"="+program)),
		prefork.WithFile("said", writer),
		prefork.WithLogger(quiet),
	}, options...)
	made, err := prefork.New(options...)
	check(t, err)
	p := &pool{Pool: made, t: t, ended: make(chan struct{}), pipe: reader,
		said: bufio.NewReader(reader)}
	t.Cleanup(func() { made.Close() })
	return p
}

// run starts it, and has it stopped when the test ends.
func (p *pool) run(ctx context.Context) *pool {
	p.events = p.Events()
	go func() {
		defer close(p.ended)
		taskID := 0
		if taskID, p.err = p.Run(ctx); taskID != -1 {
			p.err = fmt.Errorf("the supervisor has task id %d", taskID)
		}
	}()
	p.t.Cleanup(func() {
		p.Kill()
		for range p.events {
		}
		<-p.ended
	})
	return p
}

// end stops it and returns what Run returned.
func (p *pool) end() error {
	p.t.Helper()
	p.Stop()
	return p.result()
}

// result waits for the end of Run.
func (p *pool) result() error {
	p.t.Helper()
	for event := range p.events {
		p.seen = append(p.seen, event)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("Run does not return")
	}
	return p.err
}

// next waits for an event of this type, of this worker or, with -1, of any.
func (p *pool) next(kind prefork.EventType, taskID int) prefork.Event {
	p.t.Helper()
	timer := time.After(patience)
	for {
		select {
		case event, ok := <-p.events:
			if !ok {
				p.t.Fatalf("the pool ended without event %v of %d; seen: %v", kind, taskID, p.seen)
			}
			p.seen = append(p.seen, event)
			if event.Type == kind && (taskID < 0 || event.TaskID == taskID) {
				return event
			}
		case <-timer:
			p.t.Fatalf("no event %v of %d; seen: %v", kind, taskID, p.seen)
		}
	}
}

// hear waits for a line of a worker.
func (p *pool) hear() string {
	p.t.Helper()
	check(p.t, p.pipe.SetReadDeadline(time.Now().Add(patience)))
	line, err := p.said.ReadString('\n')
	check(p.t, err)
	return strings.TrimSuffix(line, "\n")
}

// hearTasks waits for the lines "TASK PID" of so many workers.
func (p *pool) hearTasks(count int) map[int]int {
	p.t.Helper()
	pids := map[int]int{}
	for len(pids) < count {
		var taskID, pid int
		_, err := fmt.Sscanf(p.hear(), "%d %d", &taskID, &pid)
		check(p.t, err)
		pids[taskID] = pid
	}
	return pids
}

// expectNothingLeft checks at the test's end that it has left no child and no descriptor.
func expectNothingLeft(t *testing.T) {
	t.Helper()
	warmUp()
	before := descriptors()
	t.Cleanup(func() {
		eventually(t, "descriptors are closed", func() bool {
			return len(descriptors()) <= len(before)
		})
		if left := children(t); len(left) > 0 {
			t.Errorf("children are left: %v", left)
		}
	})
}

// warmUp has Go open what it keeps: its poller.
func warmUp() {
	if reader, writer, err := os.Pipe(); err == nil {
		reader.Close()
		writer.Close()
	}
}

func descriptors() []string {
	names, _ := filepath.Glob("/proc/self/fd/*")
	return names
}

func children(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	check(t, err)
	var all []string
	for _, file := range files {
		text, _ := os.ReadFile(file) // the thread may have ended
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

// ---- Other programs ------------------------------------------------------------------------

// process is a test program that runs, in a process group of its own.
type process struct {
	*exec.Cmd
	t      *testing.T
	lines  *bufio.Reader
	output *os.File
	ended  bool
}

func startProgram(t *testing.T, name string, environment ...string) *process {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(append(os.Environ(), programVar+"="+name), environment...)
	return startCommand(t, command)
}

func startCommand(t *testing.T, command *exec.Cmd) *process {
	t.Helper()
	reader, writer, err := os.Pipe()
	check(t, err)
	command.Stdout, command.Stderr = writer, os.Stderr
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	check(t, command.Start())
	writer.Close()
	p := &process{Cmd: command, t: t, lines: bufio.NewReader(reader), output: reader}
	t.Cleanup(func() {
		syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		if !p.ended {
			command.Wait()
		}
		reader.Close()
	})
	return p
}

// line waits for a line that matches, and returns what its groups match.
func (p *process) line(pattern string) []string {
	p.t.Helper()
	expression := regexp.MustCompile("^" + pattern + "$")
	p.output.SetReadDeadline(time.Now().Add(patience))
	for {
		line, err := p.lines.ReadString('\n')
		if err != nil {
			p.t.Fatalf("no line %s: %v", pattern, err)
		}
		if groups := expression.FindStringSubmatch(strings.TrimSuffix(line, "\n")); groups != nil {
			return groups
		}
	}
}

// all waits for a line for each pattern, in any order, and returns these lines.
func (p *process) all(patterns ...string) []string {
	p.t.Helper()
	found := make([]string, len(patterns))
	for missing := len(patterns); missing > 0; {
		line := p.line("(.*)")[1]
		for i, pattern := range patterns {
			if found[i] == "" && regexp.MustCompile("^"+pattern+"$").MatchString(line) {
				found[i] = line
				missing--
				break
			}
		}
	}
	return found
}

// rest returns all lines up to the end of all processes that can write any.
func (p *process) rest() []string {
	p.t.Helper()
	p.output.SetReadDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(p.lines)
	check(p.t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// status waits for its end.
func (p *process) status() syscall.WaitStatus {
	p.t.Helper()
	p.Wait()
	p.ended = true
	return p.ProcessState.Sys().(syscall.WaitStatus)
}

// tasks reads the lines "task TASK PID" of so many workers.
func (p *process) tasks(count int) map[int]int {
	p.t.Helper()
	pids := map[int]int{}
	for len(pids) < count {
		groups := p.line(`task (\d+) (\d+)`)
		taskID, _ := strconv.Atoi(groups[1])
		pids[taskID], _ = strconv.Atoi(groups[2])
	}
	return pids
}

// expectGone waits until no process of its group is left. Zombies that nobody reaps do not count.
func (p *process) expectGone() {
	p.t.Helper()
	eventually(p.t, "no process is left", func() bool {
		return len(groupMembers(p.Process.Pid)) == 0
	})
}

// groupMembers finds the processes of a group that are no zombies.
func groupMembers(group int) []string {
	var members []string
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// PID (NAME) STATE PARENT GROUP
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if fields[0] != "Z" && fields[0] != "X" && fields[2] == strconv.Itoa(group) {
			members = append(members, file)
		}
	}
	return members
}
