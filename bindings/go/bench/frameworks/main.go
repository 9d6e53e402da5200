// SPDX-License-Identifier: MIT

// Command frameworks counts the requests that clients lose while the workers of servers of several
// frameworks are replaced under load. It is a module of its own, so that the package does not depend
// on them.
//
//	go run . [-reloads N]
//	go run . NAME            serves: gin or fiber, with PORT and WORKERS from the environment
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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"

	prefork "libprefork.invalid/bindings/go"
)

const roleVar = "FRAMEWORKS_ROLE"

var servers = map[string]func(net.Listener) error{"gin": serveGin, "fiber": serveFiber}

func main() {
	log.SetFlags(0)
	if serve, ok := servers[os.Getenv(roleVar)]; ok {
		listener, err := prefork.Listen("tcp", "127.0.0.1:0")
		must(err)
		pool, err := prefork.New()
		must(err)
		_, err = pool.Run(context.Background())
		must(err)
		must(serve(listener))
		return
	}
	reloads := flag.Int("reloads", 10, "reloads of each")
	flag.Parse()
	if name := flag.Arg(0); name != "" {
		must(serve(name))
		return
	}
	for _, name := range []string{"gin", "fiber"} {
		measure(name, *reloads)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// serve runs a server that HUP reloads and TERM stops, for ../../measure.sh. It answers with its pid.
func serve(name string) error {
	workers, err := strconv.Atoi(os.Getenv("WORKERS"))
	if err != nil {
		return err
	}
	listener, err := prefork.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	pool, err := prefork.New(prefork.WithWorkers(workers), prefork.WithReadyTimeout(time.Minute),
		prefork.WithSignals())
	if err != nil {
		return err
	}
	taskID, err := pool.Run(context.Background())
	if err != nil || taskID < 0 {
		return err
	}
	return servers[name](listener)
}

func body() string { return fmt.Sprintf("hello %d", os.Getpid()) }

// serveGin: a router of gin is a http.Handler.
func serveGin(listener net.Listener) error {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.GET("/", func(c *gin.Context) { c.String(http.StatusOK, body()) })
	return prefork.ServeHTTP(context.Background(), &http.Server{Handler: router}, listener)
}

// serveFiber: fasthttp has an end of its own, which closes idle connections at once. So their clients
// have half a second before, or GRACE_S, in which each answer says "Connection: close".
func serveFiber(listener net.Listener) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	var stopping atomic.Bool
	app.Use(func(c *fiber.Ctx) error {
		if stopping.Load() {
			c.Context().SetConnectionClose()
		}
		return c.Next()
	})
	app.Get("/", func(c *fiber.Ctx) error { return c.SendString(body()) })
	stop, release, err := prefork.StopContext(context.Background())
	if err != nil {
		return err
	}
	defer release()
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener) }()
	if err := prefork.Ready(); err != nil {
		return err
	}
	<-stop.Done()
	stopping.Store(true)
	listener.Close()
	<-ended
	time.Sleep(grace())
	return app.ShutdownWithTimeout(9 * time.Second)
}

func grace() time.Duration {
	seconds, err := strconv.ParseFloat(os.Getenv("GRACE_S"), 64)
	if err != nil {
		seconds = 0.5
	}
	return time.Duration(seconds * float64(time.Second))
}

func measure(name string, reloads int) {
	listener, err := prefork.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer listener.Close()
	pool, err := prefork.New(prefork.WithWorkers(2), prefork.WithReadyTimeout(time.Minute),
		prefork.WithCommand("", nil, append(os.Environ(), roleVar+"="+name)),
		prefork.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	must(err)
	defer pool.Close()
	events := pool.Events()
	ended := make(chan error, 1)
	go func() {
		_, err := pool.Run(context.Background())
		ended <- err
	}()
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
	for i := 0; i < 8; i++ {
		group.Add(1)
		client := http.Client{Timeout: time.Minute,
			Transport: &http.Transport{DisableKeepAlives: i%2 == 1}}
		go func() {
			defer group.Done()
			for !done.Load() {
				if ask(&client, listener.Addr().String()) {
					good.Add(1)
				} else {
					lost.Add(1)
				}
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
	fmt.Printf("%-6s %d reloads, %6d requests answered, %d lost\n", name, reloads, good.Load(), lost.Load())
	must(pool.Stop())
	for range events {
	}
	must(<-ended)
}

func ask(client *http.Client, address string) bool {
	answer, err := client.Get("http://" + address + "/")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return err == nil && strings.HasPrefix(string(text), "hello ")
}
