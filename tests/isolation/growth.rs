//! What one more key costs a handle that has many.

use std::time::{Duration, Instant};

use tower_idaas::{BoxFuture, Error, Idaas, Scope, SubjectToken, TokenResponse, TokenSource};

use crate::calls::exchange_all;
use crate::issuer::{Issuer, Latency, REFUSAL};
use crate::{alone, head, measured, run};

const KEYS: usize = 10_000;
/// So many keys are timed together; the quickest of ten such counts, whatever else the machine does.
const CHUNK: usize = 100;
/// One that copies the map for each key takes ten times as long for the last thousand as for the first.
const MOST: f64 = 3.0;

/// Issues all tokens at once, without waiting.
#[derive(Debug)]
struct Ready;

impl TokenSource for Ready {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        let token = TokenResponse::bearer(scope.as_str()).map(lasting);
        Box::pin(std::future::ready(token))
    }

    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        _: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        let token = TokenResponse::bearer(subject.expose_token()).map(lasting);
        Box::pin(std::future::ready(token))
    }
}

fn lasting(response: TokenResponse) -> TokenResponse {
    response.with_expires_in(Duration::from_secs(1200))
}

fn handle() -> Idaas {
    let builder = Idaas::builder().scope("api://a|read").token_source(Ready);
    builder.scope_capacity(2 * KEYS).exchange_capacity(2 * KEYS).build().unwrap()
}

fn scope(number: usize) -> Scope {
    format!("api://{number}|read").parse().unwrap()
}

/// The quickest time for a key among the first thousand, and among the last.
async fn times(mut make: impl AsyncFnMut(usize)) -> [Duration; 2] {
    let mut times = Vec::new();
    for first in (0..KEYS).step_by(CHUNK) {
        let started = Instant::now();
        for number in first..first + CHUNK {
            make(number).await;
        }
        times.push(started.elapsed() / CHUNK as u32);
    }
    let thousand = 1_000 / CHUNK;
    [&times[..thousand], &times[times.len() - thousand..]].map(|times| *times.iter().min().unwrap())
}

#[test]
fn a_new_key_costs_no_more_with_ten_thousand_than_with_a_thousand() {
    let _alone = alone();
    head("a new | µs of the first 1,000 | µs of the last of 10,000 | ratio");
    let check = |name: &str, [first, last]: [Duration; 2]| {
        let ratio = last.as_secs_f64() / first.as_secs_f64();
        let [first, last] = [first, last].map(|time| time.as_secs_f64() * 1e6);
        println!("| {name} | {first:.1} | {last:.1} | {ratio:.2} |");
        if ratio < MOST { Ok(()) } else { Err(format!("{name}: {first:.1} to {last:.1}")) }
    };
    measured(|| {
        let idaas = handle();
        let mut layers = Vec::new();
        let layer = async |number: usize| layers.push(idaas.layer().scope(&scope(number)));
        check("scope of a layer", run(1, times(layer)))
    });
    measured(|| {
        let idaas = handle();
        let token = async |number: usize| assert!(idaas.token_for(&scope(number)).await.is_ok());
        check("scope of a request", run(1, times(token)))
    });
    measured(|| {
        let idaas = handle();
        let exchange = async |number: usize| {
            let subject = SubjectToken::access_token(format!("user-{number}"));
            assert!(idaas.exchange(&subject).await.is_ok());
        };
        check("subject token", run(1, times(exchange)))
    });
}

#[test]
fn scopes_and_users_that_come_in_turn_cost_one_token_request_each() {
    const SCOPES: usize = 65;
    const USERS: usize = 65;
    let _alone = alone();
    let issuer = Issuer::start(Latency::constant(0), REFUSAL);
    run(2, async {
        let idaas = issuer.handle();
        for _ in 0..5 {
            for number in 0..SCOPES {
                assert!(idaas.token_for(&scope(number)).await.is_ok());
            }
            assert_eq!(exchange_all(&idaas, (0..USERS).map(|user| format!("good-{user}"))).await.failed, 0);
        }
    });
    let requests = issuer.counts().requests;
    head("in turn, five times | token requests");
    println!("| {SCOPES} scopes and {USERS} users | {requests} |");
    assert_eq!(requests, (SCOPES + USERS) as u64);
}
