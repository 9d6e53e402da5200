//! A router of axum in pre-forked workers. `axum::serve` with `with_graceful_shutdown` loses some
//! requests in a reload: with the argument "plain" that is what serves.
//!
//! SPDX-License-Identifier: MIT
use std::env;
use std::net::TcpListener;

use axum::{routing::get, Router};
use hyper_util::service::TowerToHyperService;
use libprefork::Task;
use recipes::{body, drain, stopped, supervise, Failure};

#[tokio::main(flavor = "current_thread")]
async fn work(task: Task, listener: TcpListener) -> Result<(), Failure> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = Router::new().route("/", get(|| async { body() }));
    let stop = stopped(&task)?;
    task.ready()?;
    if env::args().nth(1).as_deref() == Some("plain") {
        axum::serve(listener, router)
            .with_graceful_shutdown(stop)
            .await?;
    } else {
        drain::serve(listener, TowerToHyperService::new(router), stop).await;
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    supervise(work)
}
