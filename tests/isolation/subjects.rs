//! Callers whose subject tokens the issuer does not like.

use std::time::{Duration, Instant};

use crate::issuer::{BAD, Bad, Issuer};
use crate::{CAP, Calls, alone, exchange, exchange_all, measured, run, scene_length};

/// So slow that requests queue, and fast enough that they do not.
const SLOW: Duration = Duration::from_millis(300);
const FAST: Duration = Duration::from_millis(100);

/// What the others notice, while a bad token comes each millisecond.
struct Scene {
    /// Tokens of the service's own, each for a new scope.
    own: Calls,
    /// Callers whose exchanged tokens are cached.
    cached: Calls,
    /// Callers who are as new as the bad ones.
    new: Calls,
    peak: usize,
}

fn scene(bad: Bad, latency: Duration, with_bad: bool) -> Scene {
    let issuer = Issuer::start(latency, bad);
    let length = scene_length();
    let (own, cached, new) = run(2, async {
        let idaas = issuer.handle();
        let known = |number: usize| format!("cached-{}", number % 20);
        assert_eq!(exchange_all(&idaas, (0..20).map(known)).await, 0);
        let trouble = tokio::spawn({
            let idaas = idaas.clone();
            async move {
                let (mut ticks, started) = (tokio::time::interval(Duration::from_millis(1)), Instant::now());
                for number in (0..).take_while(|_| with_bad && started.elapsed() < length) {
                    ticks.tick().await;
                    tokio::spawn(exchange(&idaas, format!("bad-{number}")));
                }
            }
        });
        let own = Calls::every(Duration::from_millis(50), length, |number| {
            let (idaas, scope) = (idaas.clone(), format!("api://{number}|read").parse().unwrap());
            async move { idaas.token_for(&scope).await.is_ok() }
        });
        let cached =
            Calls::every(Duration::from_millis(20), length, |number| exchange(&idaas, known(number)));
        let new = async {
            // Silence takes the places of all exchanges that have not succeeded before.
            if bad.silent {
                return Calls::default();
            }
            let call = |number| exchange(&idaas, format!("new-{number}"));
            Calls::every(Duration::from_millis(40), length, call).await
        };
        let calls = tokio::join!(own, cached, new);
        trouble.await.unwrap();
        calls
    });
    Scene { own, cached, new, peak: issuer.peak() }
}

#[test]
fn a_subject_token_that_the_issuer_does_not_like_costs_no_other_party_a_failure_or_its_time() {
    let _alone = alone();
    println!("a bad token each ms, issuer's latency | own: served / failed, p50, p99 | cached | new | peak");
    let show = |name: &str, Scene { own, cached, new, peak }: &Scene| {
        println!("{name:<34} | {own} | {cached} | {new} | {peak}");
    };
    let control = scene(BAD[0], SLOW, false);
    show("control", &control);
    for (bad, latency) in BAD.into_iter().zip(std::iter::once(SLOW).chain(std::iter::repeat(FAST))) {
        measured(|| {
            let scene = scene(bad, latency, true);
            show(&format!("{:>3} {} {latency:?}", bad.status, bad.body), &scene);
            assert!(scene.peak <= CAP, "{bad:?}: {}", scene.peak);
            scene.own.compare(&control.own, SLOW)?;
            scene.cached.compare(&control.cached, SLOW * 2 / 3)?;
            // What is new queues behind what came before it, be that good or bad.
            if scene.new.failed == 0 { Ok(()) } else { Err(format!("{bad:?}: {} new", scene.new)) }
        });
    }
}

#[test]
fn ten_thousand_bogus_tokens_at_once_cost_a_thousand_cached_callers_no_exchange() {
    let _alone = alone();
    let issuer = Issuer::start(Duration::ZERO, BAD[0]);
    run(2, async {
        let idaas = issuer.handle();
        let good = || (0..1_000).map(|number| format!("good-{number}"));
        assert_eq!(exchange_all(&idaas, good()).await, 0);
        let bogus = tokio::spawn({
            let idaas = idaas.clone();
            async move { exchange_all(&idaas, (0..10_000).map(|number| format!("bad-{number}"))).await }
        });
        // While they are under way, and when they have ended.
        assert_eq!(exchange_all(&idaas, good()).await, 0);
        assert_eq!(bogus.await.unwrap(), 10_000);
        assert_eq!(exchange_all(&idaas, good()).await, 0);
    });
    assert_eq!(issuer.good_exchanges(), 1_000);
    assert!(issuer.peak() <= CAP, "{}", issuer.peak());
}
