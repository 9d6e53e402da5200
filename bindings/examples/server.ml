(* server.ml - workers that share a socket, in OCaml: prefork.h by ctypes

   Tried with OCaml 4.13 and ctypes 0.20:

     ocamlfind ocamlopt -thread -package unix,ctypes.foreign -linkpkg server.ml -o server
     ./server [PORT]

   The library is loaded by its soname. The pool asks for each worker, and OCaml forks it by
   Unix.fork, so that its runtime sees the fork. Once OCaml 5 has started a domain, Unix.fork fails:
   such a program makes workers by pf_pool_set_exec. A worker greets who connects, with its pid and
   task id. TERM stops the workers, HUP replaces them.

   SPDX-License-Identifier: MIT *)
open Ctypes

let library = Dl.dlopen ~filename:"libprefork.so.0" ~flags:[ Dl.RTLD_NOW ]
let foreign name kind = Foreign.foreign ~from:library name kind

(* Of prefork.h. A pool and an event are addresses. *)
let pool = ptr void
let on_pool kind = pool @-> kind
let setting = on_pool (int @-> returning int)
let strerror = foreign "pf_strerror" (int @-> returning string)

let bind_sockets =
  foreign "pf_bind_sockets"
    (string @-> int @-> int @-> int @-> uint32_t @-> ptr int @-> int @-> returning int)

let accept = foreign "pf_accept" (int @-> returning int)
let pool_new = foreign "pf_pool_new" (ptr pool @-> returning int)
let pool_free = foreign "pf_pool_free" (on_pool (returning pool))
let set_workers = foreign "pf_pool_set_workers" setting
let set_host_fork = foreign "pf_pool_set_host_fork" setting
let set_signals = foreign "pf_pool_set_signals" setting
let set_ready_timeout = foreign "pf_pool_set_ready_timeout" (on_pool (uint64_t @-> returning int))
let set_stop = foreign "pf_pool_set_stop" (on_pool (int @-> uint64_t @-> returning int))
let start = foreign "pf_pool_start" (on_pool (returning int))
let dispatch = foreign "pf_pool_dispatch" setting
let next_event = foreign "pf_pool_next_event" (on_pool (ptr (ptr void) @-> returning int))
let fork_prepare = foreign "pf_pool_fork_prepare" setting
let fork_parent = foreign "pf_pool_fork_parent" (on_pool (int @-> int32_t @-> returning int))
let fork_child = foreign "pf_pool_fork_child" setting
let stop_signal = foreign "pf_pool_stop_signal" (on_pool (returning int))
let die_of_signal = foreign "pf_die_of_signal" (int @-> returning int)
let event_type = foreign "pf_event_type" (ptr void @-> returning int)
let event_task_id = foreign "pf_event_task_id" (ptr void @-> returning int)
let event_level = foreign "pf_event_level" (ptr void @-> returning int)
let event_message = foreign "pf_event_message" (ptr void @-> returning string)
let worker_ready = foreign "pf_worker_ready" (void @-> returning int)
let worker_stop_fd = foreign "pf_worker_stop_fd" (void @-> returning int)
let signals_standard = 1
let event_fork_wanted = 15
let level_warning = 4
let af_inet = 2
let eagain = 11
let workers = 2

(* On Unix a descriptor is a number. *)
let descriptor : int -> Unix.file_descr = Obj.magic

let check code =
  if code < 0 then failwith (strerror code);
  code

let serve listener task_id =
  let text = Printf.sprintf "hello from pid %d, task %d\n" (Unix.getpid ()) task_id in
  let stop = descriptor (check (worker_stop_fd ())) in
  let rec loop () =
    let ready, _, _ = Unix.select [ stop; descriptor listener ] [] [] (-1.0) in
    if not (List.mem stop ready) then begin
      let connection = accept listener in
      if connection >= 0 then begin
        (* otherwise another worker was faster *)
        ignore (Unix.write_substring (descriptor connection) text 0 (String.length text));
        Unix.close (descriptor connection)
      end;
      loop ()
    end
  in
  ignore (check (worker_ready ()));
  loop ()

(* The exit status of a worker. Nothing of the supervisor's stack runs in a worker. *)
let become_worker handle listener task_id =
  let status =
    try
      ignore (check (fork_child handle task_id));
      serve listener task_id;
      0
    with problem ->
      prerr_endline ("server: " ^ Printexc.to_string problem);
      1
  in
  Unix._exit status

(* The library blocks signals between the two calls. *)
let fork handle listener task_id =
  if fork_prepare handle task_id = 0 then
    match Unix.fork () with
    | 0 -> become_worker handle listener task_id
    | pid -> ignore (fork_parent handle task_id (Int32.of_int pid))
    | exception Unix.Unix_error _ -> ignore (fork_parent handle task_id (Int32.of_int (-eagain)))

let rec supervise handle listener event =
  while check (next_event handle event) > 0 do
    if event_type !@event = event_fork_wanted then fork handle listener (event_task_id !@event)
    else if event_level !@event <= level_warning then
      prerr_endline ("prefork: " ^ event_message !@event)
  done;
  if check (dispatch handle (-1)) > 0 then supervise handle listener event

let () =
  let port = if Array.length Sys.argv > 1 then int_of_string Sys.argv.(1) else 8090 in
  let listener = allocate int 0 in
  let flags = Unsigned.UInt32.zero and ten_seconds = Unsigned.UInt64.of_int 10_000 in
  ignore (check (bind_sockets "127.0.0.1" port af_inet 0 flags listener 1));
  let place = allocate pool null in
  ignore (check (pool_new place));
  let handle = !@place in
  ignore (check (set_workers handle workers));
  ignore (check (set_host_fork handle 1));
  ignore (check (set_ready_timeout handle ten_seconds));
  (* No signal: the descriptor says when to stop. *)
  ignore (check (set_stop handle 0 ten_seconds));
  ignore (check (set_signals handle signals_standard));
  ignore (check (start handle));
  supervise handle !@listener (allocate (ptr void) null);
  let signal = stop_signal handle in
  ignore (pool_free handle);
  if signal <> 0 then ignore (die_of_signal signal)
