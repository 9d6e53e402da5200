// SPDX-License-Identifier: MIT

package prefork

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
)

// listeners are those that are handed on to workers of pools that run from now on.
var listeners = struct {
	sync.Mutex
	inherited map[string]int // how many calls have found one
	open      []listener
}{inherited: map[string]int{}}

type listener struct {
	key string // the network and the address
	net.Listener
}

// Listen is [net.Listen] for a socket that all workers share. The supervisor opens it; a call
// with the same arguments in a worker returns the same socket, the n-th such call the n-th that
// was open when the pool ran. If there is none, the worker opens one itself.
//
// The networks are "tcp", "tcp4", "tcp6", "unix" and "unixpacket". With port 0 all workers have
// the port that the supervisor got. The supervisor must not close it while the pool runs.
func Listen(network, address string) (net.Listener, error) {
	listeners.Lock()
	defer listeners.Unlock()
	key := listenerNames.Replace(network + "/" + address)
	result, err := handedOn(listenerName(key, listeners.inherited[key]))
	if err == nil {
		listeners.inherited[key]++
	} else if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECHILD) {
		result, err = net.Listen(network, address)
	}
	if err != nil {
		return nil, err
	}
	listeners.open = append(listeners.open, listener{key, result})
	return result, nil
}

func listenerName(key string, index int) string { return fmt.Sprintf("%s#%d", key, index) }

// A name of a descriptor has no colons, and no control characters, which no address has.
var listenerNames = strings.NewReplacer("%", "%25", ":", "%3A", "#", "%23")

// handedOn returns the socket of the supervisor or, after an upgrade, of the program before.
func handedOn(name string) (net.Listener, error) {
	file := handedOver[name]
	delete(handedOver, name)
	if file == nil {
		var err error
		if file, err = File(name); err != nil {
			return nil, err
		}
	}
	defer file.Close()
	return net.FileListener(file)
}

// ActivationListeners returns the sockets that systemd has opened for this program, in their
// order; none if it has opened none. In a worker they are those of its supervisor.
func ActivationListeners() ([]net.Listener, error) {
	var descriptors [activationMax]C.int
	count := C.pf_listen_fds(&descriptors[0], activationMax)
	if err := check("ActivationListeners", count); err != nil {
		return nil, err
	}
	var all []net.Listener
	for _, descriptor := range descriptors[:count] {
		file, err := duplicate(uintptr(descriptor), "activation")
		if err != nil {
			return nil, closeAll(all, err)
		}
		result, err := net.FileListener(file)
		file.Close()
		if err != nil {
			return nil, closeAll(all, err)
		}
		all = append(all, result)
	}
	return all, nil
}

const activationMax = 1024

func closeAll(all []net.Listener, err error) error {
	for _, l := range all {
		l.Close()
	}
	return err
}

// addListeners hands all on that are still open.
func (p *Pool) addListeners() error {
	listeners.Lock()
	defer listeners.Unlock()
	count := map[string]int{}
	open := listeners.open[:0]
	for _, l := range listeners.open {
		err := p.addDescriptor(listenerName(l.key, count[l.key]), l.Listener.(syscall.Conn))
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
			continue
		}
		if err != nil {
			return err
		}
		count[l.key]++
		open = append(open, l)
	}
	listeners.open = open
	closeHandedOver()
	return nil
}
