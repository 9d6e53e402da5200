// SPDX-License-Identifier: MIT

// Command bench measures how long it takes from the kill of a worker until its replacement
// serves: under this package, and under a loop written by hand that starts the program again by
// os/exec. Worker and server are the same program in both. Kills take turns, so that whatever
// else the machine does touches both alike.
//
//	bench [-pairs N]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

const roleVar = "PREFORK_BENCH_ROLE"

func main() {
	log.SetFlags(0)
	switch os.Getenv(roleVar) {
	case "package":
		underPackage()
	case "loop":
		underLoop()
	case "worker of loop":
		listener, err := net.FileListener(os.NewFile(3, "listener"))
		must(err)
		serve(listener)
	default:
		measure()
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func serve(listener net.Listener) {
	must(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, os.Getpid())
	})))
}

func underPackage() {
	listener, err := prefork.Listen("tcp", "127.0.0.1:0")
	must(err)
	if prefork.TaskID() == -1 {
		fmt.Println(listener.Addr())
	}
	pool, err := prefork.New(prefork.WithWorkers(1), prefork.WithMaxRestarts(prefork.Unlimited),
		prefork.WithSignals(), prefork.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	must(err)
	taskID, err := pool.Run(context.Background())
	must(err)
	if taskID >= 0 {
		serve(listener)
	}
}

// underLoop is what programs without a library have.
func underLoop() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Println(listener.Addr())
	file, err := listener.(*net.TCPListener).File()
	must(err)
	path, err := os.Executable()
	must(err)
	for {
		command := exec.Command(path, os.Args[1:]...)
		command.Env = append(os.Environ(), roleVar+"=worker of loop")
		command.ExtraFiles = []*os.File{file}
		command.Stderr = os.Stderr
		must(command.Start())
		command.Wait()
	}
}

// server is a supervisor with one worker.
type server struct {
	command *exec.Cmd
	address string
	pid     int // of the worker
	took    []time.Duration
}

func start(role string) *server {
	path, err := os.Executable()
	must(err)
	s := &server{command: exec.Command(path)}
	s.command.Env = append(os.Environ(), roleVar+"="+role)
	s.command.Stderr = os.Stderr
	output, err := s.command.StdoutPipe()
	must(err)
	must(s.command.Start())
	_, err = fmt.Fscanln(output, &s.address)
	must(err)
	s.pid, err = s.ask()
	must(err)
	return s
}

// ask returns the pid of the worker that answers.
func (s *server) ask() (int, error) {
	connection, err := net.Dial("tcp", s.address)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	if _, err := fmt.Fprint(connection, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return 0, err
	}
	answer, err := io.ReadAll(connection)
	if err != nil {
		return 0, err
	}
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	return strconv.Atoi(body)
}

// replace kills the worker and waits for an answer of the next.
func (s *server) replace() {
	old := s.pid
	process, err := os.FindProcess(old)
	must(err)
	begun := time.Now()
	must(process.Kill())
	for s.pid == old {
		if pid, err := s.ask(); err == nil { // the dying one may reset a connection
			s.pid = pid
		}
	}
	s.took = append(s.took, time.Since(begun))
}

// end kills the worker of the loop too, which nobody else does.
func (s *server) end() {
	s.command.Process.Kill()
	s.command.Wait()
	if process, err := os.FindProcess(s.pid); err == nil {
		process.Kill()
	}
}

func measure() {
	pairs := flag.Int("pairs", 101, "pairs of kills")
	flag.Parse()
	ours, loop := start("package"), start("loop")
	defer ours.end()
	defer loop.end()
	ours.replace() // both are warm then
	loop.replace()
	ours.took, loop.took = nil, nil
	ratios := make([]float64, 0, *pairs)
	for pair := 0; pair < *pairs; pair++ {
		first, second := ours, loop
		if pair%2 == 1 {
			first, second = loop, ours
		}
		first.replace()
		second.replace()
		ratios = append(ratios, float64(ours.took[pair])/float64(loop.took[pair]))
	}
	sort.Float64s(ratios)
	fmt.Printf("from a kill to the replacement serving, medians of %d interleaved pairs\n", *pairs)
	fmt.Printf("  libprefork     %8.3f ms\n", median(ours.took))
	fmt.Printf("  loop by hand   %8.3f ms\n", median(loop.took))
	fmt.Printf("  ratio          %8.3f (of the pairs: %.3f)\n", median(ours.took)/median(loop.took),
		ratios[len(ratios)/2])
}

func median(all []time.Duration) float64 {
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return float64(all[len(all)/2]) / float64(time.Millisecond)
}
