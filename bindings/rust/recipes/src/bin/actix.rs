//! actix-web in pre-forked workers, which lose no request in a reload.
//!
//! Its own graceful stop closes connections that are kept, and those whose first request has not
//! been read yet. So a worker first accepts no more, answers what still comes with "Connection:
//! close", and stops when there was time to send and nothing is under way.
//!
//! SPDX-License-Identifier: MIT
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::Service;
use actix_web::http::ConnectionType;
use actix_web::{rt, web, App, HttpServer};
use libprefork::Task;
use recipes::{body, grace, stopped, supervise, Failure};

static STOPPING: AtomicBool = AtomicBool::new(false);
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

async fn serve(task: Task, listener: TcpListener) -> Result<(), Failure> {
    let app = || {
        App::new()
            .wrap_fn(|request, service| {
                UNDER_WAY.fetch_add(1, Ordering::SeqCst);
                let answer = service.call(request);
                async move {
                    let mut answer = answer.await;
                    if let (Ok(answer), true) = (&mut answer, STOPPING.load(Ordering::SeqCst)) {
                        let head = answer.response_mut().head_mut();
                        head.set_connection_type(ConnectionType::Close);
                    }
                    UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
                    answer
                }
            })
            .route("/", web::get().to(|| async { body() }))
    };
    let server = HttpServer::new(app).workers(1).disable_signals();
    let server = server.listen(listener)?.run();
    let handle = server.handle();
    let served = rt::spawn(server);
    let stop = stopped(&task)?;
    task.ready()?;
    stop.await;
    STOPPING.store(true, Ordering::SeqCst);
    handle.pause().await;
    rt::time::sleep(grace()).await;
    while UNDER_WAY.load(Ordering::SeqCst) > 0 {
        rt::time::sleep(Duration::from_millis(10)).await;
    }
    handle.stop(true).await;
    Ok(served.await??)
}

fn main() -> Result<(), Failure> {
    supervise(|task, listener| rt::System::new().block_on(serve(task, listener)))
}
