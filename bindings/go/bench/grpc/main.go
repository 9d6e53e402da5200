// SPDX-License-Identifier: MIT

// Command grpc counts the calls that clients of gRPC lose while the workers of a server are replaced
// 10 times under load. Its supervisor also gives the counters of the pool to Prometheus, by promhttp.
// It is a module of its own, so that the package does not depend on these.
//
//	go run .
//
// It fails if a call is lost, or if the metrics do not have the reloads.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	health_pb "google.golang.org/grpc/health/grpc_health_v1"

	prefork "libprefork.invalid/bindings/go"
)

const reloads = 10

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(0)
	listener, err := prefork.Listen("tcp", "127.0.0.1:0")
	must(err)
	pool, err := prefork.New(prefork.WithWorkers(2), prefork.WithReadyTimeout(time.Minute))
	must(err)
	if prefork.TaskID() >= 0 {
		_, err := pool.Run(context.Background())
		must(err)
		must(serve(listener))
		return
	}
	defer pool.Close()
	events := pool.Events()
	ended := make(chan error, 1)
	go func() {
		_, err := pool.Run(context.Background())
		ended <- err
	}()
	supervise(pool, events, listener.Addr().String())
	must(pool.Stop())
	for range events {
	}
	must(<-ended)
}

// serve is the worker: GracefulStop tells clients before it refuses calls, and they repeat what was
// not begun. A connection that waits in the shared socket belongs to the other workers.
func serve(listener net.Listener) error {
	server := grpc.NewServer()
	health_pb.RegisterHealthServer(server, health.NewServer())
	stop, release, err := prefork.StopContext(context.Background())
	if err != nil {
		return err
	}
	defer release()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if err := prefork.Ready(); err != nil {
		return err
	}
	<-stop.Done()
	server.GracefulStop()
	return <-ended
}

// metrics is a handler of GET /metrics.
func metrics(pool *prefork.Pool) http.Handler {
	registry := prometheus.NewRegistry()
	for name, which := range map[string]prefork.Counter{
		"started_total":   prefork.CountStarted,
		"restarted_total": prefork.CountRestarted,
		"reloads_total":   prefork.CountReloads,
		"ready":           prefork.CountReady,
		"alive":           prefork.CountAlive,
	} {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "prefork_" + name},
			func() float64 { return float64(pool.Counter(which)) }))
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func supervise(pool *prefork.Pool, events <-chan prefork.Event, address string) {
	until := func(wanted prefork.EventType) {
		for event := range events {
			if event.Type == wanted {
				return
			}
		}
		log.Fatal("the pool has ended")
	}
	until(prefork.EventReady)
	until(prefork.EventReady)
	var good, lost atomic.Int64
	var done atomic.Bool
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for !done.Load() {
				call(address, 1+i%2*500, &good, &lost)
			}
		}()
	}
	for i := 0; i < reloads; i++ {
		time.Sleep(50 * time.Millisecond)
		must(pool.Reload())
		until(prefork.EventReloaded)
	}
	done.Store(true)
	group.Wait()
	answer := httptest.NewRecorder()
	metrics(pool).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(answer.Body)
	must(err)
	fmt.Printf("grpc: %d reloads, %d calls answered, %d lost\n", reloads, good.Load(), lost.Load())
	if lost.Load() > 0 || !strings.Contains(string(text), fmt.Sprintf("prefork_reloads_total %d", reloads)) {
		log.Fatalf("lost, or wrong metrics:\n%s", text)
	}
}

// call makes so many calls over one connection.
func call(address string, count int, good, lost *atomic.Int64) {
	connection, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	defer connection.Close()
	client := health_pb.NewHealthClient(connection)
	for ; count > 0; count-- {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		_, err := client.Check(ctx, &health_pb.HealthCheckRequest{}, grpc.WaitForReady(true))
		cancel()
		if err != nil {
			log.Print(err)
			lost.Add(1)
			return
		}
		good.Add(1)
	}
}
