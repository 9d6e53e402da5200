// SPDX-License-Identifier: MIT

package prefork

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

const drainTime = 10 * time.Millisecond // between looks for idle connections

var graceTime = 500 * time.Millisecond // for clients of idle connections to ask once more

// Drainer stops an [http.Server] without the loss of an accepted connection.
//
// [http.Server.Shutdown] alone closes connections whose first request has not been read yet. While
// another worker takes over the socket, these are requests of clients. A Drainer closes the
// listeners first, and answers on each connection that was accepted before. These answers say
// "Connection: close", and an idle connection has half a second for one more request.
//
// A client that asks on an idle connection only at the moment at which the server closes it has to
// send the request again, as RFC 9112, section 9.3.1, says. net/http does so for requests that may
// be repeated.
type Drainer struct {
	server *http.Server
	change chan struct{} // that open has changed

	mutex     sync.Mutex
	open      int // connections
	draining  bool
	listeners []*drainListener
}

// NewDrainer prepares a server before it serves. It sets ConnState and Handler, and calls the
// functions that were there: set both before. Requests of the server must come by listeners that [Drainer.Listener] returns.
func NewDrainer(server *http.Server) *Drainer {
	d := &Drainer{server: server, change: make(chan struct{}, 1)}
	before := server.ConnState
	server.ConnState = func(connection net.Conn, state http.ConnState) {
		d.note(state)
		if before != nil {
			before(connection, state)
		}
	}
	handler := server.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.isDraining() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
	return d
}

func (d *Drainer) note(state http.ConnState) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	switch state {
	case http.StateNew:
		d.open++
	case http.StateClosed, http.StateHijacked:
		d.open--
		select {
		case d.change <- struct{}{}:
		default:
		}
	}
}

// Listener returns what the server is to serve on in the place of listener, such as
//
//	server.Serve(drainer.Listener(listener))
//
// Serve and ServeTLS end with [http.ErrServerClosed] once [Drainer.Drain] was called.
func (d *Drainer) Listener(listener net.Listener) net.Listener {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	l := &drainListener{Listener: listener, drainer: d, ended: make(chan struct{})}
	d.listeners = append(d.listeners, l)
	return l
}

// drainListener reports when its server has seen the end: each connection that came before is
// known to the server then.
type drainListener struct {
	net.Listener
	drainer *Drainer
	begun   bool // Accept was called; under the mutex of drainer
	once    sync.Once
	ended   chan struct{}
}

func (l *drainListener) Accept() (net.Conn, error) {
	l.drainer.mutex.Lock()
	l.begun = true
	l.drainer.mutex.Unlock()
	connection, err := l.Listener.Accept()
	if errors.Is(err, net.ErrClosed) {
		l.once.Do(func() { close(l.ended) })
		if l.drainer.isDraining() {
			return nil, http.ErrServerClosed
		}
	}
	return connection, err
}

func (d *Drainer) isDraining() bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.draining
}

// Drain closes the listeners, waits until each connection has had its answer, and shuts the server
// down. Idle connections are closed after half a second, and so is one that has sent nothing for 5
// seconds. Connections that a handler has hijacked are left alone.
//
// If ctx is done first, all connections are closed, and the error is that of ctx. Without a time
// limit of ctx the pool's own holds, see [WithStop].
func (d *Drainer) Drain(ctx context.Context) error {
	d.mutex.Lock()
	d.draining = true
	listeners := d.listeners
	d.mutex.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	for _, l := range listeners {
		d.mutex.Lock()
		begun := l.begun
		d.mutex.Unlock()
		if !begun {
			continue
		}
		select {
		case <-l.ended:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), d.server.Close())
		}
	}
	ticker := time.NewTicker(drainTime)
	defer ticker.Stop()
	grace := time.Now().Add(graceTime)
	for d.connections() > 0 {
		if time.Now().After(grace) {
			d.server.SetKeepAlivesEnabled(false) // and closes what is idle
		}
		select {
		case <-d.change:
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), d.server.Close())
		}
	}
	return d.server.Shutdown(ctx)
}

func (d *Drainer) connections() int {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.open
}

// ServeHTTP is the life of a worker that serves HTTP: it serves on the listeners, calls [Ready],
// waits until this worker should end or ctx is done, and has a [Drainer] end the server. It returns
// nil after that, and an error if the server failed before.
//
// In a process that is no worker the error is [syscall.ECHILD].
func ServeHTTP(ctx context.Context, server *http.Server, listeners ...net.Listener) error {
	stopped, release, err := StopContext(ctx)
	if err != nil {
		return err
	}
	defer release()
	drainer := NewDrainer(server)
	failed := make(chan error, len(listeners))
	for _, listener := range listeners {
		drained := drainer.Listener(listener)
		go func() { failed <- server.Serve(drained) }()
	}
	if err := Ready(); err != nil {
		server.Close()
		return err
	}
	select {
	case err := <-failed:
		server.Close()
		return err
	case <-stopped.Done():
	}
	return drainer.Drain(context.WithoutCancel(ctx))
}
