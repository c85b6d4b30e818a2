//! APIs that reject all tokens, beside others that accept them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt, service_fn};
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxFuture, Error, Idaas, Scope, SubjectToken, TokenResponse, TokenSource};

use crate::calls::{Beside, Calls, timed};
use crate::issuer::{Issuer, Latency, REFUSAL};
use crate::process::Peak;
use crate::{alone, head, measured, run, scene_length};

const CALLERS: usize = 20;
/// What a busy machine may add to a time.
const SLACK: Duration = Duration::from_millis(30);

fn response(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response
}

/// The calls of the good API and the token requests, with the bad one called or not.
fn scene(with_bad: bool) -> (Calls, u64) {
    let issuer = Issuer::start(Latency::constant(50), REFUSAL);
    let length = scene_length() * 2;
    let (calls, peak) = Peak::during(|| {
        run(2, async {
            let idaas = issuer.handle();
            let api = service_fn(|request: Request<()>| async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let bad = request.uri().host() == Some("bad.example.com");
                Ok::<_, Infallible>(response(if bad { StatusCode::UNAUTHORIZED } else { StatusCode::OK }))
            });
            let client = idaas.layer().layer(api);
            let get = |host: &str| Request::get(format!("https://{host}.example.com/")).body(()).unwrap();
            idaas.prefetch().await.unwrap();
            let started = Instant::now();
            let mut callers = JoinSet::new();
            for _ in 0..CALLERS {
                let client = client.clone();
                callers.spawn(async move {
                    let mut calls = Vec::new();
                    while started.elapsed() < length {
                        let call = async {
                            let response = client.clone().oneshot(get("good")).await;
                            response.is_ok_and(|response| response.status() == StatusCode::OK)
                        };
                        calls.push(timed(call).await);
                    }
                    calls
                });
            }
            while with_bad && started.elapsed() < length {
                let _ = client.clone().oneshot(get("bad")).await;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            let calls = callers.join_all().await.concat();
            Calls::of(calls, started.elapsed())
        })
    });
    let requests = issuer.counts().requests;
    println!("| {} | {calls} | {requests} | {peak} |", if with_bad { "a call each 50 ms" } else { "none" });
    (calls, requests)
}

#[test]
fn an_api_that_rejects_all_tokens_leaves_the_throughput_of_another_alone() {
    let _alone = alone();
    measured(|| {
        head(
            "calls of an API that responds with 401 | good API | p50 | p99 | token requests | sockets | MiB",
        );
        let ((control, _), (calls, requests)) = (scene(false), scene(true));
        // At first, by force at once, and after one second, three, seven …; then about one a minute.
        let minutes = scene_length().as_secs() * 2 / 60;
        assert!(requests <= 1 + 7 + 2 * minutes, "{requests}");
        head(&format!("an API responds with 401 | {}", Beside::COLUMNS));
        println!("| another API of the scope | {} |", calls.beside(&control));
        calls.compare(&control, SLACK)
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
    head("500 users behind an API that responds with 401 | first minute | second | third");
    println!("| exchanges of one user, at most | {} | {} | {} |", minutes[0], minutes[1], minutes[2]);
    assert!(minutes[0] <= 2 && minutes[1..].iter().all(|most| *most <= 1), "{minutes:?}");
}
