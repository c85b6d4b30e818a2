//! APIs that reject all tokens, beside others that accept them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt, service_fn};
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxFuture, Error, Idaas, Scope, SubjectToken, TokenResponse, TokenSource};

use crate::issuer::{BAD, Issuer};
use crate::{alone, measured, run, scene_length};

fn response(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response
}

/// Requests that the good API has served in the time, and the token requests, with the bad one asked or not.
fn scene(with_bad: bool) -> (usize, u64) {
    let issuer = Issuer::start(Duration::from_millis(50), BAD[0]);
    let length = scene_length() * 2;
    let served = run(2, async {
        let idaas = issuer.handle();
        let api = service_fn(|request: Request<()>| async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let bad = request.uri().host() == Some("bad.example.com");
            Ok::<_, Infallible>(response(if bad { StatusCode::UNAUTHORIZED } else { StatusCode::OK }))
        });
        let client = idaas.layer().layer(api);
        let get = |host: &str| Request::get(format!("https://{host}.example.com/")).body(()).unwrap();
        idaas.prefetch().await.unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..20 {
            let (client, served) = (client.clone(), Arc::clone(&served));
            callers.spawn(async move {
                loop {
                    let response = client.clone().oneshot(get("good")).await;
                    if response.is_ok_and(|response| response.status() == StatusCode::OK) {
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let started = Instant::now();
        while started.elapsed() < length {
            if with_bad {
                let _ = client.clone().oneshot(get("bad")).await;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        served.load(Ordering::SeqCst)
    });
    (served, issuer.requests())
}

#[test]
fn an_api_that_rejects_all_tokens_leaves_the_throughput_of_another_alone() {
    let _alone = alone();
    println!("good API, 20 callers | control | with a bad one | ratio | token requests");
    measured(|| {
        let ((control, _), (served, requests)) = (scene(false), scene(true));
        let ratio = served as f64 / control as f64;
        println!("| {control} | {served} | {ratio:.3} | {requests}");
        // At first, by force at once, and after one second, three, seven …
        assert!(requests <= 1 + 7, "{requests}");
        if ratio >= 0.95 { Ok(()) } else { Err(format!("{served} of {control}")) }
    });
}

/// Exchanges every subject token at once, and counts.
#[derive(Clone, Debug, Default)]
struct Exchanger(Arc<Mutex<HashMap<String, usize>>>);

impl Exchanger {
    /// The most exchanges of one subject token since the last look, and of how many it is the count.
    fn take(&self) -> (usize, usize) {
        let counts = std::mem::take(&mut *self.0.lock().unwrap());
        (counts.values().copied().max().unwrap_or(0), counts.len())
    }
}

impl TokenSource for Exchanger {
    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async { TokenResponse::bearer("own") })
    }

    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        _: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        let mut counts = self.0.lock().unwrap();
        let count = counts.entry(subject.expose_token().to_owned()).or_default();
        *count += 1;
        let token = format!("{}-{count}", subject.expose_token());
        Box::pin(async move { Ok(TokenResponse::bearer(&token)?.with_expires_in(Duration::from_secs(1200))) })
    }
}

#[tokio::test]
async fn each_of_500_users_behind_an_api_that_rejects_all_tokens_costs_two_exchanges_in_the_first_minute() {
    const STEP: Duration = Duration::from_secs(3);
    let (source, clock) = (Exchanger::default(), ManualClock::new());
    let builder = Idaas::builder().scope("api://a|read").token_source(source.clone());
    let idaas = builder.clock(clock.clone()).build().unwrap();
    let api = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(response(StatusCode::UNAUTHORIZED)) });
    let client = idaas.layer().layer(api);
    let users: Vec<_> = (0..500).map(|user| SubjectToken::access_token(format!("user-{user}"))).collect();
    let mut minutes = Vec::new();
    for _ in 0..3 {
        for _ in 0..60 / STEP.as_secs() {
            for user in &users {
                let request =
                    Request::get("https://bad.example.com/").extension(user.clone()).body(()).unwrap();
                let response = client.clone().oneshot(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "the API's, not an error of ours");
            }
            clock.advance(STEP);
        }
        minutes.push(source.take().0);
    }
    assert!(minutes[0] <= 2 && minutes[1..].iter().all(|most| *most <= 1), "{minutes:?}");
}
