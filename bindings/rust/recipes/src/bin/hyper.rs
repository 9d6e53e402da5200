//! hyper in pre-forked workers.
//!
//! SPDX-License-Identifier: MIT
use std::convert::Infallible;
use std::net::TcpListener;

use hyper::service::service_fn;
use hyper::Response;
use libprefork::Task;
use recipes::{body, drain, stopped, supervise, Failure};

#[tokio::main(flavor = "current_thread")]
async fn work(task: Task, listener: TcpListener) -> Result<(), Failure> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(body())) });
    let stop = stopped(&task)?;
    task.ready()?;
    drain::serve(listener, service, stop).await;
    Ok(())
}

fn main() -> Result<(), Failure> {
    supervise(work)
}
