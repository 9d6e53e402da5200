// SPDX-License-Identifier: MIT

// Command server is a pre-forked HTTP server: its workers share the listening sockets.
//
//	server [-p PORT] [-b ADDRESS]... [-n WORKERS] [-r MAX_RESTARTS]
//
//	GET /             says hello, with the pid and the task id of the worker that answers
//	GET /?sleep=S     the same after S seconds
//	GET /?exit=N      the same, and then the worker exits with status N
//	GET /?signal=N    the same, and then the worker sends itself signal N
//
// SIGTERM and Ctrl-C end it, when all requests under way have been answered. SIGHUP replaces the
// workers, by the new program if it has been built anew, and fails no request.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

// version is set by the linker: go build -ldflags '-X main.version=2'.
var version = "1"

// addresses is a flag that may be given several times.
type addresses []string

func (a *addresses) String() string { return strings.Join(*a, " ") }

func (a *addresses) Set(value string) error {
	*a = append(*a, value)
	return nil
}

func main() {
	var hosts addresses
	port := flag.Int("p", 8090, "port; 0: any")
	workers := flag.Int("n", 0, "workers; 0: as many as processors")
	restarts := flag.Int("r", 100, "restarts of all workers together")
	flag.Var(&hosts, "b", "address to listen on; may be repeated (default 127.0.0.1)")
	flag.Parse()
	if len(hosts) == 0 {
		hosts = addresses{"127.0.0.1"}
	}

	// From here to Run, supervisor and workers do the same.
	var listeners []net.Listener
	for _, host := range hosts {
		listener, err := prefork.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(*port)))
		if err != nil {
			log.Fatal(err)
		}
		if prefork.TaskID() == -1 {
			fmt.Printf("listening on %s\n", listener.Addr())
		}
		listeners = append(listeners, listener)
	}
	pool, err := prefork.New(
		prefork.WithWorkers(*workers),
		prefork.WithMaxRestarts(*restarts),
		prefork.WithReadyTimeout(30*time.Second),
		prefork.WithSignals(),
		prefork.WithLogger(slog.Default()),
	)
	if err != nil {
		log.Fatal(err)
	}
	taskID, err := pool.Run(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	if taskID >= 0 {
		server := &http.Server{Handler: handler(taskID), ReadHeaderTimeout: 10 * time.Second}
		if err := prefork.ServeHTTP(context.Background(), server, listeners...); err != nil {
			log.Fatalf("worker %d: %v", taskID, err)
		}
		return
	}
	if number := pool.StopSignal(); number != 0 {
		log.Fatal(prefork.DieOfSignal(number)) // so that the status tells
	}
}

func handler(taskID int) http.Handler {
	var ending sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		asked, err := parse(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(asked.sleep)
		body := fmt.Sprintf("Hello, world from pid %d, task %d, version %s\n", os.Getpid(), taskID,
			version)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		fmt.Fprint(w, body)
		if asked.exit >= 0 || asked.signal > 0 {
			if err := http.NewResponseController(w).Flush(); err != nil {
				log.Print(err)
			}
			ending.Do(asked.end)
		}
	})
}

type request struct {
	sleep  time.Duration
	exit   int // the status; -1: it stays
	signal int // 0: none
}

func parse(query url.Values) (request, error) {
	asked := request{exit: -1}
	var err error
	number := func(text string, least, most float64) float64 {
		value, parseErr := strconv.ParseFloat(text, 64)
		if parseErr != nil || value < least || value > most {
			err = errors.New("not understood: " + text)
		}
		return value
	}
	for name, values := range query {
		switch name {
		case "sleep":
			asked.sleep = time.Duration(number(values[0], 0, 30) * float64(time.Second))
		case "exit":
			asked.exit = int(number(values[0], 0, 255))
		case "signal":
			asked.signal = int(number(values[0], 1, 64))
		default:
			return asked, errors.New("not understood: " + name)
		}
	}
	return asked, err
}

func (r request) end() {
	if r.signal > 0 {
		syscall.Kill(os.Getpid(), syscall.Signal(r.signal))
		return
	}
	os.Exit(r.exit)
}
