// Serves a service of tower, such as a router of axum, and loses no connection that was accepted.
//
// SPDX-License-Identifier: MIT
//
// hyper's graceful_shutdown(), and so with_graceful_shutdown() of axum, closes a connection whose
// first request has not been read yet. While another worker takes over the socket, these are
// requests of clients. Here such a connection has its answer first.
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// For a client that has connected and sends nothing.
const FIRST_REQUEST: Duration = Duration::from_secs(5);

pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(answer(stream, router.clone(), stopped.clone()));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop(listener);
    let _ = stopping.send(true);
    while connections.join_next().await.is_some() {}
}

async fn answer(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let asked = Arc::new(AtomicBool::new(false));
    let first = asked.clone();
    let inner = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
        first.store(true, Ordering::Relaxed);
        inner.call(request)
    });
    let builder = hyper::server::conn::http1::Builder::new();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|&stopped| stopped) => {}
    }
    let deadline = tokio::time::Instant::now() + FIRST_REQUEST;
    while !asked.load(Ordering::Relaxed) && tokio::time::Instant::now() < deadline {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
