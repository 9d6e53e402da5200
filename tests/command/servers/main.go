// A server with the activation of systemd.
//
// SPDX-License-Identifier: MIT
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

func main() {
	listeners, err := activation.Listeners()
	if err != nil || len(listeners) == 0 {
		log.Fatal("no socket: ", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "good %d\n", os.Getpid())
	})}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	go server.Serve(listeners[0])
	daemon.SdNotify(false, daemon.SdNotifyReady)
	<-stop.Done()
	server.Shutdown(context.Background())
}
