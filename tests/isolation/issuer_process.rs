//! The issuer's process: this test binary, started again by [`Issuer`](crate::issuer::Issuer).
//!
//! It serves until its standard input ends, as it does with the process that started it, and writes what it has counted
//! for each line that it reads.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::runtime::Builder;

use crate::issuer::{ADDRESS, BAD, COUNTED, Latency, VARIABLE};

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    good: AtomicU64,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

#[test]
#[ignore = "the issuer of the other tests, in a process of its own"]
fn serve() {
    let Ok(order) = std::env::var(VARIABLE) else { return };
    let numbers: Vec<u64> = order.split(' ').map(|number| number.parse().unwrap()).collect();
    let &[millis, varies, bad] = numbers.as_slice() else { panic!("{order}") };
    let latency = Latency { mean: Duration::from_millis(millis), varies: varies == 1 };
    let counts = Arc::new(Counts::default());
    std::thread::spawn({
        let counts = Arc::clone(&counts);
        move || report(&counts)
    });
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        write_line(&format!("{ADDRESS}{}", listener.local_addr().unwrap()));
        let respond = move |body: Bytes| respond(Arc::clone(&counts), body, latency, bad as usize);
        axum::serve(listener, axum::Router::new().fallback(respond)).await.unwrap();
    });
}

/// On a line of its own, whatever the test harness has written before.
fn write_line(line: &str) {
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "\n{line}\n").and_then(|()| stdout.flush()).unwrap();
}

fn report(counts: &Counts) {
    for line in std::io::stdin().lines() {
        line.unwrap();
        let (requests, good) = (&counts.requests, &counts.good);
        let [requests, good] = [requests, good].map(|count| count.load(Ordering::SeqCst));
        write_line(&format!("{COUNTED}{requests} {good} {}", counts.peak.load(Ordering::SeqCst)));
    }
    std::process::exit(0);
}

async fn respond(
    counts: Arc<Counts>,
    body: Bytes,
    latency: Latency,
    bad: usize,
) -> Response<axum::body::Body> {
    struct Leaves(Arc<Counts>);
    impl Drop for Leaves {
        fn drop(&mut self) {
            self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let number = counts.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let in_flight = counts.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    counts.peak.fetch_max(in_flight, Ordering::SeqCst);
    let form = std::str::from_utf8(&body).unwrap();
    let is_of = |subject: &str| form.contains(subject);
    counts.good.fetch_add(u64::from(is_of("subject_token=good")), Ordering::SeqCst);
    let _leaves = Leaves(counts);
    tokio::time::sleep(latency.next()).await;
    if !is_of("subject_token=bad") {
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let token = format!(
            r#"{{"access_token":"t-{number}","token_type":"Bearer","expires_in":1200,"issued_token_type":"{kind}"}}"#
        );
        return Response::builder().header("content-type", "application/json").body(token.into()).unwrap();
    }
    let bad = BAD[bad];
    if bad.silent {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(bad.status).header("content-type", "application/json");
    if let Some(seconds) = bad.retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(bad.body.into()).unwrap()
}
