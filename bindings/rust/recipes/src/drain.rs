// Serves a service of hyper, or a router of axum, and loses no connection that was accepted.
//
// SPDX-License-Identifier: MIT
//
// hyper's graceful_shutdown(), and so with_graceful_shutdown() of axum, closes connections that are
// kept, and those whose first request has not been read yet. While another worker takes over the
// socket, these are requests of clients. Here such a connection has its answer first, which says
// "Connection: close".
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{HeaderValue, CONNECTION};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::grace;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// For a router of axum: `TowerToHyperService::new(router)`.
pub async fn serve<S, B>(listener: TcpListener, service: S, stop: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Cause>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Cause>,
{
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(answer(stream, service.clone(), stopped.clone()));
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

async fn answer<S, B>(stream: TcpStream, inner: S, mut stopped: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Cause>,
    B: Body + 'static,
    B::Error: Into<Cause>,
{
    let is_over = stopped.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (answer, is_over) = (inner.call(request), is_over.clone());
        async move {
            let mut answer = answer.await?;
            if *is_over.borrow() {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, S::Error>(answer)
        }
    });
    let builder = hyper::server::conn::http1::Builder::new();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|&stopped| stopped) => {}
    }
    tokio::select! {
        biased; // so that a request is read, though the time is over
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(grace()) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
