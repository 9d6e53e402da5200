# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Prefork
  # An address of a host each.
  SOCKETS_MAX = 64
  # More than a process can have.
  FDS_MAX = 2**30
  BIND_REUSEPORT = 1
  OWNED = {}
  PORTS = "an Integer, 0 to 65,535"
  FAMILIES = "Socket::AF_UNSPEC, AF_INET or AF_INET6"
  private_constant :SOCKETS_MAX, :FDS_MAX, :BIND_REUSEPORT, :OWNED, :PORTS, :FAMILIES

  class << self
    # Listens on each address of a host. The sockets are made before the workers, which share them: accept by
    # accept_nonblock, or by accept where only one waits. With port 0 all sockets get the same port. They stay open
    # when the objects are forgotten. In a worker by exec the nth call with the same arguments returns the sockets of
    # the nth call in the supervisor.
    # @param host [String, nil] a name or an address; nil: any address
    # @param port [Integer]
    # @param family [Integer] Socket::AF_INET, Socket::AF_INET6, or Socket::AF_UNSPEC for both
    # @param backlog [Integer] as for listen(2)
    # @param reuse_port [Boolean] other sockets with it may have the same address
    # @return [Array<TCPServer>] at least one
    # @raise [Errno::EADDRINUSE, Errno::EACCES, Errno::EADDRNOTAVAIL, SocketError] naming the address
    def bind_sockets(host, port, family: Socket::AF_UNSPEC, backlog: 128, reuse_port: false)
      name = Errors.text(:host, host || "")
      raise Errors.invalid(:port, PORTS, port) unless (0..65_535).cover?(Errors.integer(:port, port, PORTS))
      raise Errors.invalid(:family, FAMILIES, family) unless
        [Socket::AF_UNSPEC, Socket::AF_INET, Socket::AF_INET6].include?(Errors.integer(:family, family, FAMILIES))

      numbers = [port, family, Errors.integer(:backlog, backlog)]
      fds = call_for_fds("#{host || '*'}:#{port}") do |array, size|
        Library.call(:pf_bind_sockets, name, *numbers, reuse_port ? BIND_REUSEPORT : 0, array, size)
      end
      fds.map { |fd| own(fd) }
    end

    # Listens on a UNIX stream socket. A socket file on which no process listens is replaced, no other file.
    # @param path [String]
    # @param mode [Integer] the permissions, at most 0777
    # @param backlog [Integer] as for listen(2)
    # @return [UNIXServer]
    # @raise [Errno::EADDRINUSE, Errno::EEXIST, Errno::EACCES] naming the path
    def bind_unix_socket(path, mode: 0o600, backlog: 128)
      name = Errors.text(:path, path)
      mode = Errors.integer(:mode, mode)
      raise Errors.invalid(:mode, "0 to 0777", mode) unless (0..0o777).cover?(mode)

      fd = Library.call(:pf_bind_unix_socket, name, mode, Errors.integer(:backlog, backlog))
      own(Errors.check(fd, name))
    end

    # The sockets that systemd has opened for this process (LISTEN_FDS).
    # @return [Array<IO>] TCPServer, UNIXServer, Socket or IO, whichever each is; [] if none was passed
    # @raise [Errno::EBADF] if one is not open
    # @raise [Errno::EINVAL] if LISTEN_FDS is not a number
    def listen_fds
      fds = call_for_fds("listen_fds", FDS_MAX) { |array, size| Library.call(:pf_listen_fds, array, size) }
      fds.map { |fd| own(fd) }
    end

    private

    # Yields an array and its size, a larger one while that is too small.
    def call_for_fds(what, largest = SOCKETS_MAX)
      size = SOCKETS_MAX
      loop do
        array = Fiddle::Pointer.malloc(size * Fiddle::SIZEOF_INT, Fiddle::RUBY_FREE)
        count = yield(array, size)
        return array[0, Errors.check(count, what) * Fiddle::SIZEOF_INT].unpack("i*") unless
          count == -Errno::ENOBUFS::Errno && size < largest

        size *= 2
      end
    end

    # The object that owns the descriptor. It is kept, for a collection would close the descriptor, which the library
    # knows too: only the program does.
    def own(fd)
      kept = OWNED[fd]
      return kept if kept && !kept.closed?

      OWNED[fd] = class_for(fd).for_fd(fd)
    end

    # An object with a descriptor of its own.
    def copy(fd)
      original = class_for(fd).for_fd(fd)
      original.autoclose = false
      original.dup
    end

    def class_for(fd)
      return IO unless IO.for_fd(fd, autoclose: false).stat.socket?

      socket = Socket.for_fd(fd)
      socket.autoclose = false
      return Socket unless socket.getsockopt(Socket::SOL_SOCKET, Socket::SO_ACCEPTCONN).bool

      address = socket.local_address
      if address.ip? then TCPServer
      else address.unix? ? UNIXServer : Socket
      end
    end
  end
end
