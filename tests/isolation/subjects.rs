//! Callers whose subject tokens the issuer does not like.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tower_idaas::Idaas;

use crate::calls::{Beside, Calls, exchange, exchange_all, own_token};
use crate::issuer::{BAD, Counts, Issuer, Latency, REFUSAL};
use crate::process::Peak;
use crate::{CAP, alone, head, is_long, measured, run, scene_length};

/// So slow that requests queue, and fast enough that they do not.
const SLOW: Latency = Latency::constant(300);
const VARYING: Latency = Latency::varying(300);
const FAST: Latency = Latency::constant(100);

/// What a busy machine may add to a time: less than a request without priority waits behind the bad ones.
const SLACK: Duration = Duration::from_millis(400);

/// A bad subject token every millisecond, each another one.
pub async fn trouble(idaas: Idaas, length: Duration) {
    let (mut ticks, started) = (tokio::time::interval(Duration::from_millis(1)), Instant::now());
    for number in (0..).take_while(|_| started.elapsed() < length) {
        ticks.tick().await;
        tokio::spawn(exchange(&idaas, format!("bad-{number}")));
    }
}

/// What the others notice.
struct Scene {
    /// Tokens of the service's own, each for a new scope.
    own: Calls,
    /// Callers whose exchanged tokens are cached.
    cached: Calls,
    /// Callers who are as new as the bad ones.
    new: Calls,
    issuer: Counts,
    peak: Peak,
}

fn scene(bad: usize, latency: Latency, with_bad: bool) -> Scene {
    let issuer = Issuer::start(latency, bad);
    let length = scene_length();
    let scene = async {
        let idaas = issuer.handle();
        let known = |number: usize| format!("cached-{}", number % 20);
        assert_eq!(exchange_all(&idaas, (0..20).map(known)).await.failed, 0);
        let trouble = with_bad.then(|| tokio::spawn(trouble(idaas.clone(), length)));
        let own = Calls::every(Duration::from_millis(50), length, |number| own_token(&idaas, number));
        let cached =
            Calls::every(Duration::from_millis(20), length, |number| exchange(&idaas, known(number)));
        let new = async {
            // Silence takes the places of all exchanges that have not succeeded before.
            if BAD[bad].silent {
                return Calls::default();
            }
            let call = |number| exchange(&idaas, format!("new-{number}"));
            Calls::every(Duration::from_millis(40), length, call).await
        };
        let calls = tokio::join!(own, cached, new);
        if let Some(trouble) = trouble {
            trouble.await.unwrap();
        }
        calls
    };
    let ((own, cached, new), peak) = Peak::during(|| run(2, scene));
    Scene { own, cached, new, issuer: issuer.counts(), peak }
}

impl Scene {
    fn print(&self, name: &str, latency: Latency) {
        let Self { own, cached, new, issuer: Counts { requests, in_flight, .. }, peak } = self;
        println!("| {name} | {latency} | {own} | {cached} | {new} | {requests} | {in_flight} | {peak} |");
    }
}

#[test]
fn a_subject_token_that_the_issuer_does_not_like_costs_no_other_party_a_failure_or_its_time() {
    let _alone = alone();
    head(
        "a bad token each ms gets | after | own tokens | p50 | p99 | cached users | p50 | p99 | new users | p50 | p99 \
         | token requests | in flight | sockets | MiB",
    );
    let controls = [SLOW, VARYING, FAST].map(|latency| {
        let control = scene(REFUSAL, latency, false);
        control.print("none comes", latency);
        assert_eq!([control.own, control.cached, control.new].map(|calls| calls.failed), [0; 3]);
        control
    });
    let results = Mutex::new(Vec::new());
    let with = |bad: usize, latency: Latency, control: &Scene| {
        measured(|| {
            let scene = scene(bad, latency, true);
            scene.print(&BAD[bad].to_string(), latency);
            results.lock().unwrap().push([(scene.own, control.own), (scene.cached, control.cached)]);
            assert!(scene.issuer.in_flight <= CAP, "{}: {}", BAD[bad], scene.issuer.in_flight);
            scene.own.compare(&control.own, SLACK)?;
            scene.cached.compare(&control.cached, SLACK)?;
            // What is new queues behind what came before it, be that good or bad.
            if scene.new.failed == 0 { Ok(()) } else { Err(format!("{}: {} new", BAD[bad], scene.new)) }
        });
    };
    let [slow, varying, fast] = &controls;
    with(REFUSAL, SLOW, slow);
    with(REFUSAL, VARYING, varying);
    (REFUSAL + 1..BAD.len()).for_each(|bad| with(bad, FAST, fast));
    head(&format!("a bad token each ms: the worst of all answers | {}", Beside::COLUMNS));
    let results = results.into_inner().unwrap();
    for (party, name) in ["own tokens", "cached users"].into_iter().enumerate() {
        let all = results.iter().map(|parties| parties[party]);
        let worst = all.map(|(calls, control)| calls.beside(&control)).reduce(Beside::and);
        println!("| {name} | {} |", worst.unwrap());
    }
}

#[test]
fn a_flood_of_bogus_tokens_at_once_costs_a_thousand_cached_callers_no_exchange() {
    let _alone = alone();
    // More than there is room for beside the thousand, and more than may be queued.
    let (bogus, capacity, limit) = if is_long() { (10_000, 10_000, CAP) } else { (2_000, 1_500, 64) };
    let issuer = Issuer::start(Latency::constant(0), REFUSAL);
    let ((calls, refused), peak) = Peak::during(|| {
        run(2, async {
            let builder = issuer.builder().exchange_capacity(capacity);
            let idaas = builder.max_token_requests_in_flight(limit).build().unwrap();
            let good = || (0..1_000).map(|number| format!("good-{number}"));
            assert_eq!(exchange_all(&idaas, good()).await.failed, 0);
            let flood = tokio::spawn({
                let idaas = idaas.clone();
                async move { exchange_all(&idaas, (0..bogus).map(|number| format!("bad-{number}"))).await }
            });
            let meanwhile = exchange_all(&idaas, good()).await;
            let refused = flood.await.unwrap();
            ([meanwhile, exchange_all(&idaas, good()).await], refused)
        })
    });
    let Counts { good, requests, in_flight } = issuer.counts();
    head(
        "1,000 cached users | served / failed | p50 | p99 | exchanges of theirs | token requests | in flight \
         | sockets | MiB",
    );
    for (name, calls) in ["while the bogus tokens come", "after them"].into_iter().zip(calls) {
        println!("| {name}: {bogus} | {calls} | {} | {requests} | {in_flight} | {peak} |", good - 1_000);
    }
    assert_eq!((calls.map(|calls| calls.failed), refused.served, good), ([0; 2], 0, 1_000));
    assert!(in_flight <= limit && requests < 1_000 + bogus, "{in_flight} in flight, {requests} in all");
}
