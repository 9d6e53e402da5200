// server.cs - workers that share a socket, in C#: prefork.h by DllImport
//
// Tried with Mono 6.8; .NET needs a project file instead of the first line:
//
//   mcs -out:server.exe server.cs
//   mono server.exe [PORT]
//
// The runtime has threads from the start, so each worker executes this program anew: Run() returns
// the task id there, and Bind() the socket of the supervisor. A worker greets who connects, with its
// pid and task id. TERM stops the workers, HUP replaces them.
//
// SPDX-License-Identifier: MIT
using System;
using System.Runtime.InteropServices;
using System.Text;

static class Server
{
    const string Library = "libprefork.so.0";
    const int SignalsStandard = 1;
    const int AfInet = 2;
    const short PollIn = 1;
    const int Workers = 2;

    [DllImport(Library)] static extern IntPtr pf_strerror(int error);
    [DllImport(Library)] static extern int pf_bind_sockets(
        string host, int port, int family, int backlog, uint flags, out int fd, int max);
    [DllImport(Library)] static extern int pf_accept(int fd);
    [DllImport(Library)] static extern int pf_pool_new(out IntPtr pool);
    [DllImport(Library)] static extern IntPtr pf_pool_free(IntPtr pool);
    [DllImport(Library)] static extern int pf_pool_set_name(IntPtr pool, string name);
    [DllImport(Library)] static extern int pf_pool_set_workers(IntPtr pool, int count);
    [DllImport(Library)] static extern int pf_pool_set_ready_timeout(IntPtr pool, ulong timeoutMs);
    [DllImport(Library)] static extern int pf_pool_set_stop(IntPtr pool, int signal, ulong timeoutMs);
    [DllImport(Library)] static extern int pf_pool_set_signals(IntPtr pool, int set);
    [DllImport(Library)] static extern int pf_pool_set_exec(
        IntPtr pool, string path, IntPtr arguments, IntPtr environment);
    [DllImport(Library)] static extern int pf_pool_run(IntPtr pool, out int taskId);
    [DllImport(Library)] static extern int pf_pool_stop_signal(IntPtr pool);
    [DllImport(Library)] static extern int pf_die_of_signal(int signal);
    [DllImport(Library)] static extern int pf_worker_ready();
    [DllImport(Library)] static extern int pf_worker_stop_fd();

    [StructLayout(LayoutKind.Sequential)]
    struct PollFd { public int Fd; public short Events; public short Revents; }

    [DllImport("libc.so.6")] static extern int poll([In, Out] PollFd[] fds, UIntPtr count, int timeout);
    [DllImport("libc.so.6")] static extern IntPtr write(int fd, byte[] bytes, UIntPtr count);
    [DllImport("libc.so.6")] static extern int close(int fd);
    [DllImport("libc.so.6")] static extern int getpid();

    static int Check(int code)
    {
        if (code < 0)
            throw new Exception(Marshal.PtrToStringAnsi(pf_strerror(code)));
        return code;
    }

    static void Serve(int listener, int taskId)
    {
        byte[] text = Encoding.ASCII.GetBytes($"hello from pid {getpid()}, task {taskId}\n");
        var places = new[] {
            new PollFd { Fd = Check(pf_worker_stop_fd()), Events = PollIn },
            new PollFd { Fd = listener, Events = PollIn },
        };
        Check(pf_worker_ready());
        while (true)
        {
            if (poll(places, (UIntPtr)places.Length, -1) <= 0)
                continue;
            if (places[0].Revents != 0)
                return; // the worker must stop
            int connection = pf_accept(listener);
            if (connection < 0)
                continue; // another worker was faster
            write(connection, text, (UIntPtr)text.Length);
            close(connection);
        }
    }

    static int Main(string[] arguments)
    {
        int port = arguments.Length > 0 ? int.Parse(arguments[0]) : 8090;
        Check(pf_bind_sockets("127.0.0.1", port, AfInet, 0, 0, out int listener, 1));
        Check(pf_pool_new(out IntPtr pool));
        Check(pf_pool_set_name(pool, "server"));
        Check(pf_pool_set_workers(pool, Workers));
        Check(pf_pool_set_ready_timeout(pool, 10000));
        Check(pf_pool_set_stop(pool, 0, 10000)); // the descriptor says when to stop
        Check(pf_pool_set_signals(pool, SignalsStandard));
        Check(pf_pool_set_exec(pool, null, IntPtr.Zero, IntPtr.Zero)); // this program

        Check(pf_pool_run(pool, out int taskId));
        if (taskId >= 0)
        {
            Serve(listener, taskId);
            return 0;
        }
        int signal = pf_pool_stop_signal(pool);
        pf_pool_free(pool);
        if (signal != 0)
            pf_die_of_signal(signal);
        return 0;
    }
}
