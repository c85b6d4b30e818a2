//! What a cold start costs each of those who wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};
use tower_idaas::{BoxFuture, Error, Idaas, Scope, TokenResponse, TokenSource};

use crate::rows::text;
use crate::service::median;

/// Responds when released.
#[derive(Debug)]
struct Held(Arc<Notify>);

impl TokenSource for Held {
    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async {
            self.0.notified().await;
            Ok(TokenResponse::bearer(&text())?.with_expires_in(Duration::from_secs(1_200)))
        })
    }
}

/// From the first request to the last response, and from the token's arrival on.
async fn cold_start(waiters: usize) -> (Duration, Duration) {
    let release = Arc::new(Notify::new());
    let idaas =
        Idaas::builder().token_source(Held(Arc::clone(&release))).scope("api://a|read").build().unwrap();
    let client = idaas.layer().layer(tower::service_fn(async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(Response::new(()))
    }));
    let start = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..waiters {
        requests.spawn(client.clone().oneshot(Request::get("https://api.example.com/").body(()).unwrap()));
    }
    for _ in 0..3 {
        tokio::task::yield_now().await; // all of them wait
    }
    let arrival = Instant::now();
    release.notify_one();
    while let Some(response) = requests.join_next().await {
        response.unwrap().unwrap();
    }
    (start.elapsed(), arrival.elapsed())
}

pub(crate) fn print() {
    const INTERLEAVED: usize = 21;
    const WAITERS: [usize; 3] = [10, 100, 1_000];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut measured = WAITERS.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..INTERLEAVED {
        for (waiters, (whole, wake)) in WAITERS.into_iter().zip(&mut measured) {
            let (start, arrival) = runtime.block_on(cold_start(waiters));
            whole.push(start.as_nanos() as f64 / waiters as f64);
            wake.push(arrival.as_nanos() as f64 / waiters as f64);
        }
    }
    println!(
        "\n| requests that wait for the first token | each, in all | each, once it is there |\n|---|---|---|"
    );
    for (waiters, (whole, wake)) in WAITERS.into_iter().zip(measured) {
        println!("| {waiters} | {:.0} ns | {:.0} ns |", median(whole), median(wake));
    }
}
