//! The whole way: hyper's client, a loopback connection, hyper's server.
//!
//! The client has a thread of its own, whose processor time is the cost of a request at the client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt};
use tower_idaas::{BoxError, Idaas};

use crate::rows::{Issuer, constant_layer, prefetched};
use crate::service::median;

type Body = Empty<Bytes>;

const CONNECTIONS: usize = 8;
const REQUESTS: usize = 250;
const INTERLEAVED: usize = 15;

/// A server on a thread of its own.
fn server() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let answer = hyper::service::service_fn(async |_| {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), answer));
            }
        });
    });
    receiver.recv().unwrap()
}

fn http() -> Client<HttpConnector, Body> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// Requests per second, and the client's processor time per request in microseconds.
async fn measure<S>(client: &S, address: SocketAddr) -> (f64, f64)
where
    S: Service<Request<Body>, Response = Response<Incoming>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let (start, busy) = (Instant::now(), processor_time());
    let mut running = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let client = client.clone();
        running.spawn(async move {
            for _ in 0..REQUESTS {
                let request = Request::get(format!("http://{address}/orders")).body(Body::new()).unwrap();
                let response = client.clone().oneshot(request).await.map_err(Into::into).unwrap();
                response.into_body().collect().await.unwrap();
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let count = (CONNECTIONS * REQUESTS) as f64;
    (count / start.elapsed().as_secs_f64(), (processor_time() - busy) * 1e6 / count)
}

/// What this thread has used, in seconds.
#[cfg(target_os = "linux")]
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(not(target_os = "linux"))]
fn processor_time() -> f64 {
    f64::NAN
}

pub(crate) fn print() {
    let address = server();
    let idaas: Idaas = prefetched(Idaas::builder().token_source(Issuer::default()));
    let (bare, constant, token) = (http(), constant_layer().layer(http()), idaas.layer().layer(http()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut measured = [const { (Vec::new(), Vec::new()) }; 3];
    runtime.block_on(async {
        for round in 0..=INTERLEAVED {
            let figures = [
                measure(&bare, address).await,
                measure(&constant, address).await,
                measure(&token, address).await,
            ];
            // The first round opens the connections.
            for ((rates, times), (rate, time)) in measured.iter_mut().zip(figures).filter(|_| round > 0) {
                rates.push(rate);
                times.push(time);
            }
        }
    });
    println!("\n| over loopback | requests per second | processor time per request |\n|---|---|---|");
    for (name, (rates, times)) in ["no layer", "constant header", "live token"].into_iter().zip(measured) {
        println!("| {name} | {:.0} | {:.2} µs |", median(rates), median(times));
    }
}
