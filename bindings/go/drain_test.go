// SPDX-License-Identifier: MIT

package prefork_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

func init() {
	programs["http"] = func() { workHTTP(prefork.ServeHTTP) }
	programs["http shutdown"] = func() { workHTTP(serveWithShutdown) }
}

// longGrace outlasts a time in which clients do not run.
const longGrace = 8 * time.Second

type serveFunction func(context.Context, *http.Server, ...net.Listener) error

// workHTTP is a worker of a server, which another function ends.
func workHTTP(serve serveFunction) {
	listener, err := prefork.Listen("tcp", os.Getenv(valueVar))
	must(err)
	taskID := takeTask()
	server := &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "Hello from %d, version %d\n", taskID, os.Getpid())
		})}
	*prefork.GraceTime = longGrace
	must(serve(context.Background(), server, listener))
}

// serveWithShutdown is what programs do without a Drainer.
func serveWithShutdown(ctx context.Context, server *http.Server, listeners ...net.Listener) error {
	stopped, _, err := prefork.StopContext(ctx)
	must(err)
	go server.Serve(listeners[0])
	must(prefork.Ready())
	<-stopped.Done()
	return server.Shutdown(ctx)
}

// reloadUnderLoad reloads a server so many times under load, and returns what the clients had.
func reloadUnderLoad(t *testing.T, program string, reloads int) *load {
	t.Helper()
	listener, err := prefork.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	p := newPool(t, "", prefork.WithWorkers(2), prefork.WithReadyTimeout(patience),
		prefork.WithCommand("", nil, append(os.Environ(), programVar+"="+program,
			value("127.0.0.1:0")))).run(context.Background())
	p.next(prefork.EventReady, -1)
	p.next(prefork.EventReady, -1)
	asked := startLoad("http://"+listener.Addr().String()+"/", 8)
	for i := 0; i < reloads; i++ {
		before := asked.good.Load()
		eventually(t, "requests are answered", func() bool { return asked.good.Load() > before+100 })
		check(t, p.Reload())
		p.next(prefork.EventReloaded, -1)
	}
	asked.done.Store(true)
	asked.group.Wait()
	check(t, p.end())
	for _, event := range p.seen {
		if event.Type == prefork.EventKilled || event.Level > 0 {
			t.Errorf("event %+v", event)
		}
	}
	t.Logf("%s: %d reloads, %d requests answered, %d failed (%v)", program, reloads,
		asked.good.Load(), asked.failed.Load(), asked.first)
	return asked
}

// A server whose workers are replaced under load answers every request. What Shutdown alone loses
// is not asserted, but logged.
func TestDrainLosesNoRequest(t *testing.T) {
	reloadUnderLoad(t, "http shutdown", 10)
	if asked := reloadUnderLoad(t, "http", 10); asked.failed.Load() != 0 {
		t.Errorf("%d requests failed: %v", asked.failed.Load(), asked.first)
	}
}

// newDrained returns a server with a Drainer, its address and where the end of Serve comes.
func newDrained(t *testing.T, handler http.HandlerFunc) (*prefork.Drainer, string, chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := &http.Server{Handler: handler}
	drainer := prefork.NewDrainer(server)
	ended := make(chan error, 1)
	drained := drainer.Listener(listener)
	go func() { ended <- server.Serve(drained) }()
	return drainer, listener.Addr().String(), ended
}

func setGrace(t *testing.T, grace time.Duration) {
	before := *prefork.GraceTime
	*prefork.GraceTime = grace
	t.Cleanup(func() { *prefork.GraceTime = before })
}

func sayHello(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Hello") }

// dial returns a connection to a server that answers.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	check(t, waitForServer("http://"+address+"/"))
	connection, err := net.Dial("tcp", address)
	check(t, err)
	t.Cleanup(func() { connection.Close() })
	return connection
}

// request returns the answer to a request on a connection.
func request(t *testing.T, connection net.Conn) string {
	t.Helper()
	fmt.Fprint(connection, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	answer := make([]byte, 1000)
	count, err := connection.Read(answer)
	check(t, err)
	return string(answer[:count])
}

// expectLast checks an answer after which the connection is closed.
func expectLast(t *testing.T, text string) {
	t.Helper()
	if !strings.HasSuffix(text, "Hello") || !strings.Contains(text, "Connection: close") {
		t.Errorf("answer %q", text)
	}
}

// A connection that was accepted before has its answer, although its request comes later.
func TestDrainAnswersWhatComesAfterIt(t *testing.T) {
	setGrace(t, longGrace)
	drainer, address, ended := newDrained(t, sayHello)
	connection := dial(t, address)
	check(t, waitForServer("http://"+address+"/")) // it was accepted before this one
	result := make(chan error)
	go func() { result <- drainer.Drain(context.Background()) }()
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a later connection: %v", err)
	}
	expectLast(t, request(t, connection))
	check(t, <-result)
}

// A connection that is kept has an answer that says that it is closed, before it is.
func TestDrainAnswersOnWhatIsKept(t *testing.T) {
	setGrace(t, longGrace)
	drainer, address, ended := newDrained(t, sayHello)
	connection := dial(t, address)
	if text := request(t, connection); !strings.HasSuffix(text, "Hello") || strings.Contains(text, "Connection:") {
		t.Errorf("answer %q", text)
	}
	result := make(chan error)
	go func() { result <- drainer.Drain(context.Background()) }()
	<-ended
	expectLast(t, request(t, connection))
	check(t, <-result)
}

// An idle connection does not hold up the end.
func TestDrainClosesWhatIsIdle(t *testing.T) {
	drainer, address, _ := newDrained(t, sayHello)
	connection := dial(t, address)
	request(t, connection)
	check(t, drainer.Drain(context.Background()))
	if _, err := connection.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is open: %v", err)
	}
}

// Drain ends with its context, too.
func TestDrainEndsWithItsContext(t *testing.T) {
	begun := make(chan struct{})
	drainer, address, _ := newDrained(t, func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	go http.Get("http://" + address + "/")
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := drainer.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// ServeHTTP is for workers.
func TestServeHTTPOutsideOfAWorker(t *testing.T) {
	if err := prefork.ServeHTTP(context.Background(), &http.Server{}); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("error %v", err)
	}
}
