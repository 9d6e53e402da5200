// SPDX-License-Identifier: MIT

package prefork_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

// A web server with a worker for each processor. A worker that crashes is started again.
func ExampleForkProcesses() {
	listener, err := prefork.Listen("tcp", ":8090")
	if err != nil {
		log.Fatal(err)
	}
	taskID, err := prefork.ForkProcesses(0, 100)
	if err != nil {
		log.Fatal(err)
	}
	// This is worker number taskID; the supervisor does not get here.
	log.Fatal(http.Serve(listener, http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "Hello from worker %d\n", taskID)
		})))
}

// A pool that is controlled by signals and logs what happens to its workers.
func ExamplePool() {
	pool, err := prefork.New(
		prefork.WithWorkers(4),
		prefork.WithBackoff(100*time.Millisecond, 10*time.Second),
		prefork.WithReadyTimeout(30*time.Second),
		prefork.WithSignals(),
		prefork.WithLogger(slog.Default()),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	taskID, err := pool.Run(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	if taskID < 0 {
		return // all workers have ended
	}
	stop, release, err := prefork.StopContext(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer release()
	if err := prefork.Ready(); err != nil {
		log.Fatal(err)
	}
	<-stop.Done()
}

// Events tell the supervisor what happens to its workers.
func ExamplePool_Events() {
	pool, err := prefork.New(prefork.WithWorkers(2))
	if err != nil {
		log.Fatal(err)
	}
	events := pool.Events()
	go func() {
		for event := range events {
			if event.Type == prefork.EventExited && event.WillRestart {
				log.Printf("worker %d crashed after %v", event.TaskID, event.Uptime)
			}
		}
	}()
	if _, err := pool.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// This process was not started by a supervisor.
func ExampleTaskID() {
	fmt.Println(prefork.TaskID())
	// Output: -1
}
