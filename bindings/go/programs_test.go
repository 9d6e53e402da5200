// SPDX-License-Identifier: MIT

package prefork_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// The programs that tests run as workers of their own pools, and as supervisors.
var programs = map[string]func(){
	"few files":   fewFiles,
	"idle":        workerIdle,
	"exit":        workerExit,
	"finish":      workerFinish,
	"deaf":        workerDeaf,
	"heartbeats":  workerHeartbeats,
	"go at work":  workerGoAtWork,
	"environment": workerEnvironment,
	"variables":   printVariables,
	"server":      workerServer,
	"misuse":      workerMisuse,
	"two pools":   workerTwoPools,
	"inner pools": workerInnerPools,
	"fork":        superviseFork,
	"fork twice":  superviseForkTwice,
	"pool":        supervisePool,
	"off main":    superviseOffMain,
	"own exec":    superviseOwnProgram,
	"activated":   superviseActivated,
	"limits":      superviseLimits,
}

// The first goroutine keeps the first thread to itself.
func init() {
	if os.Getenv(programVar) == "off main" {
		runtime.LockOSThread()
	}
}

var said *os.File

func say(format string, arguments ...any) {
	if said == nil {
		var err error
		said, err = prefork.File("said")
		must(err)
	}
	fmt.Fprintf(said, format+"\n", arguments...)
}

// takeTask makes a worker of a pool of this process a worker.
func takeTask(options ...prefork.Option) int {
	made, err := prefork.New(options...)
	must(err)
	taskID, err := made.Run(context.Background())
	must(err)
	return taskID
}

func untilStopped() {
	ctx, _, err := prefork.StopContext(context.Background())
	must(err)
	<-ctx.Done()
}

func workerIdle() {
	taskID := takeTask()
	ctx, _, err := prefork.StopContext(context.Background())
	must(err)
	must(prefork.Ready())
	say("%d %d", taskID, os.Getpid())
	<-ctx.Done()
}

func workerExit() {
	taskID := takeTask()
	code, err := strconv.Atoi(os.Getenv(valueVar))
	must(err)
	say("%d %d", taskID, os.Getpid())
	os.Exit(code)
}

// workerFinish has a piece of work under way when it is stopped.
func workerFinish() {
	taskID := takeTask()
	ctx, release, err := prefork.StopContext(context.Background())
	must(err)
	say("%d %d", taskID, os.Getpid())
	<-ctx.Done()
	time.Sleep(300 * time.Millisecond) // the work
	say("finished")
	release()
}

// workerDeaf is told to stop by nothing but SIGKILL.
func workerDeaf() {
	signal.Ignore(syscall.SIGTERM)
	say("%d %d", takeTask(), os.Getpid())
	select {}
}

func workerHeartbeats() {
	taskID := takeTask()
	for i := 0; i < 3; i++ {
		must(prefork.Heartbeat())
	}
	say("%d %d", taskID, os.Getpid())
	select {}
}

// workerGoAtWork does what hung or crashed in a child that was made by fork.
func workerGoAtWork() {
	taskID := takeTask()
	for i := 0; i < 200; i++ {
		_ = bytes.Repeat([]byte{1}, 1<<20)
	}
	runtime.GC()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go func() {
		for {
			connection, err := listener.Accept()
			must(err)
			go io.Copy(connection, connection)
		}
	}()
	var group sync.WaitGroup
	for i := 0; i < 20; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			connection, err := net.Dial("tcp", listener.Addr().String())
			must(err)
			defer connection.Close()
			answer := make([]byte, 5)
			_, err = connection.Write([]byte("hello"))
			must(err)
			_, err = io.ReadFull(connection, answer)
			must(err)
			output, err := exec.Command("/bin/echo", string(answer)).Output()
			must(err)
			if string(output) != "hello\n" {
				must(errors.New("not echoed"))
			}
		}()
	}
	group.Wait()
	say("%d %d", taskID, os.Getpid())
	untilStopped()
}

// workerEnvironment tells what it and a program that it starts see.
func workerEnvironment() {
	takeTask()
	own := strings.Join(os.Environ(), "\n")
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), programVar+"=variables")
	output, err := command.Output()
	must(err)
	say("%v %v %v", strings.Contains(own, "\nPF_"), strings.Contains(own, valueVar+"=given"),
		strings.TrimSpace(string(output)))
	untilStopped()
}

func printVariables() {
	fmt.Println(prefork.TaskID(), strings.Contains(strings.Join(os.Environ(), "\n"), "PF_"))
}

// workerServer answers with its task id, on what the test listens on.
func workerServer() {
	var open []net.Listener
	for _, word := range strings.Fields(os.Getenv(valueVar)) {
		network, address, _ := strings.Cut(word, "=")
		listener, err := prefork.Listen(network, address)
		must(err)
		open = append(open, listener)
	}
	taskID := takeTask()
	ctx, _, err := prefork.StopContext(context.Background())
	must(err)
	for _, listener := range open {
		go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, taskID)
		}))
	}
	must(prefork.Ready())
	say("%d %d", taskID, os.Getpid())
	<-ctx.Done()
}

// workerMisuse does with a pool, and with ForkProcesses, what a worker must not.
func workerMisuse() {
	made, err := prefork.New()
	must(err)
	_, err = made.Run(context.Background())
	must(err)
	_, forkErr := prefork.ForkProcesses(1, 0)
	_, againErr := made.Run(context.Background())
	say("stop %v", made.Stop() != nil)
	say("resize %v", made.Resize(3) != nil)
	_, err = made.WorkerPID(0)
	say("pid %v", err != nil)
	say("again %v", againErr != nil)
	say("fork %v", errors.Is(forkErr, syscall.EALREADY))
	say("events %v", len(made.Events()))
	say("close %v", made.Close())
	untilStopped()
}

// workerTwoPools is a worker of the pool "b", and runs "a" first.
func workerTwoPools() {
	a, err := prefork.New(prefork.WithName("a"))
	must(err)
	_, err = a.Run(context.Background())
	name, _ := prefork.WorkerPool()
	say("%v %v %v", errors.Is(err, syscall.EALREADY), name, takeTask(prefork.WithName("b")))
	untilStopped()
}

// workerInnerPools has pools of its own, which would make the same workers again.
func workerInnerPools() {
	taskID := takeTask()
	if os.Getenv(valueVar) == "inner" {
		say("deeper")
		return
	}
	inner := func(options ...prefork.Option) error {
		made, err := prefork.New(append([]prefork.Option{prefork.WithWorkers(1),
			prefork.WithCommand("", nil, append(os.Environ(), valueVar+"=inner")),
			prefork.WithLogger(quiet)}, options...)...)
		must(err)
		defer made.Close()
		_, err = made.Run(context.Background())
		return err
	}
	unnamed := inner()
	_, forked := prefork.ForkProcesses(1, 0)
	say("%d %v %v", taskID, errors.Is(unnamed, syscall.ELOOP), errors.Is(forked, syscall.EALREADY))
	say("%v", errors.Is(inner(prefork.WithName("inner"), prefork.WithMaxRestarts(0)),
		prefork.ErrGaveUp)) // its worker is of no pool without a name
	untilStopped()
}

// ---- Supervisors ---------------------------------------------------------------------------

func printTask(taskID int) { fmt.Printf("task %d %d\n", taskID, os.Getpid()) }

// superviseFork: "COUNT RESTARTS WHAT", and in a worker: exit with status WHAT, or stay.
func superviseFork() {
	var count, restarts int
	var what string
	_, err := fmt.Sscan(os.Getenv(valueVar), &count, &restarts, &what)
	must(err)
	if prefork.TaskID() < 0 {
		fmt.Println("supervisor", os.Getpid())
	}
	taskID, err := prefork.ForkProcesses(count, restarts)
	if err != nil {
		fmt.Printf("error %v %v %d\n", errors.Is(err, prefork.ErrGaveUp), err, taskID)
		os.Exit(7)
	}
	if taskID != prefork.TaskID() {
		must(errors.New("two task ids"))
	}
	printTask(taskID)
	if code, err := strconv.Atoi(what); err == nil {
		os.Exit(code)
	}
	select {}
}

// superviseForkTwice: its first worker fails, and the supervisor tries once more.
func superviseForkTwice() {
	for try := 1; try <= 2; try++ {
		taskID, err := prefork.ForkProcesses(2, 1)
		if err == nil && taskID == 0 {
			os.Exit(1)
		}
		if err == nil {
			select {}
		}
		fmt.Println("gave up", errors.Is(err, prefork.ErrGaveUp), len(childrenOf("self")))
	}
}

func childrenOf(process string) []string {
	var all []string
	files, _ := filepath.Glob("/proc/" + process + "/task/*/children")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

// supervisePool controls a pool by signals, and prints its events.
func supervisePool() {
	made, err := prefork.New(prefork.WithWorkers(2), prefork.WithSignals(),
		prefork.WithLogger(quiet), prefork.WithReadyTimeout(patience))
	must(err)
	printed := make(chan struct{})
	if prefork.TaskID() < 0 {
		events := made.Events()
		go func() {
			defer close(printed)
			for event := range events {
				fmt.Println("event", event.Type, event.TaskID, event.Message)
			}
		}()
	}
	taskID, err := made.Run(context.Background())
	must(err)
	if taskID >= 0 {
		used := make(chan os.Signal, 1)
		signal.Notify(used, syscall.SIGUSR1)
		ctx, _, err := prefork.StopContext(context.Background())
		must(err)
		must(prefork.Ready())
		printTask(taskID)
		for {
			select {
			case <-used:
				fmt.Println("used", taskID)
			case <-ctx.Done():
				return
			}
		}
	}
	<-printed
	fmt.Println("done", made.StopSignal())
}

// superviseOffMain has its pool run by another thread than the first: then the kernel does not
// tell workers of the supervisor's end.
func superviseOffMain() {
	failed := make(chan error)
	go func() {
		made, err := prefork.New(prefork.WithWorkers(2), prefork.WithLogger(quiet))
		must(err)
		taskID, err := made.Run(context.Background())
		if taskID >= 0 {
			printTask(taskID)
			select {}
		}
		failed <- err
	}()
	must(<-failed)
}

// superviseOwnProgram is a program whose file a test replaces and removes.
func superviseOwnProgram() {
	made, err := prefork.New(prefork.WithWorkers(1), prefork.WithLogger(quiet))
	must(err)
	taskID, err := made.Run(context.Background())
	must(err)
	printTask(taskID)
	select {}
}

// superviseActivated serves on the sockets that it was started with.
func superviseActivated() {
	open, err := prefork.ActivationListeners()
	must(err)
	taskID, err := prefork.ForkProcesses(2, 0)
	must(err)
	for _, listener := range open {
		go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, taskID)
		}))
	}
	fmt.Println("serves", len(open))
	select {}
}

// superviseLimits prints the limits on open files of children, of the supervisor and of a worker.
func superviseLimits() {
	if prefork.TaskID() < 0 && os.Getenv(valueVar) != "" {
		limit := syscall.Rlimit{Cur: 200, Max: 300}
		must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	}
	output, err := exec.Command("/bin/sh", "-c", "ulimit -Sn; ulimit -Hn").Output()
	must(err)
	_, told := os.LookupEnv("PREFORK_GO_NOFILE")
	fmt.Println("limits", strings.Fields(string(output)), told)
	_, err = prefork.ForkProcesses(1, 0)
	must(err)
}
