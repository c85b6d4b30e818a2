//! How long a token lives, however the issuer tells it, over TLS and through the public API.

use std::time::{Duration, SystemTime};

use crate::support::builder;
use serde_json::{Value, json};
use tower_idaas::clock::ManualClock;
use tower_idaas_testing::{Behaviour, TestIdaas};

/// How long the token lives that such an answer brings, in seconds; `None` when it is not cached.
async fn life(change: impl Fn(&mut serde_json::Map<String, Value>) + Send + Sync + 'static) -> Option<u64> {
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(Behaviour::change(change));
    let before = SystemTime::now();
    let idaas = builder(&issuer).clock(ManualClock::new()).build().unwrap();
    let token = idaas.token().await.unwrap();
    assert!(!token.expose_token().is_empty());
    assert_eq!(issuer.token_requests(), 1);
    // Half a second rounds away what passes between the two clocks.
    let life = token.expires_at().duration_since(before).unwrap_or_default() + Duration::from_millis(500);
    idaas.peek().map(|_| life.as_secs())
}

#[tokio::test]
async fn the_life_of_a_token_is_found_however_the_issuer_writes_it() {
    let set = |expires_in: Value| {
        move |answer: &mut serde_json::Map<String, Value>| {
            answer.remove("expires_at");
            answer.insert("expires_in".to_owned(), expires_in.clone());
        }
    };
    // Two answers to one question: the second hand may move between them.
    assert!(matches!(life(|_| ()).await, Some(1199 | 1200)));
    for (written, expected) in [
        (json!(900), Some(900)),
        (json!("900"), Some(900)),
        (json!(900.25), Some(900)),
        (json!(1e18), Some(24 * 60 * 60)),
        (json!(u64::MAX), Some(24 * 60 * 60)),
        (json!(0), None),
        (json!(-5), None),
        // Nothing said: the default life.
        (json!(null), Some(60)),
        (json!("NaN"), Some(60)),
    ] {
        assert_eq!(life(set(written.clone())).await, expected, "{written}");
    }
    let no_expires_in = life(|answer| drop(answer.remove("expires_in"))).await.unwrap();
    assert!((1198..=1201).contains(&no_expires_in), "{no_expires_in}");
    let in_milliseconds = life(|answer| {
        let seconds = answer.remove("expires_at").and_then(|value| value.as_u64()).unwrap();
        answer.insert("expires_at".to_owned(), json!(seconds * 1000));
    });
    assert_eq!(in_milliseconds.await, Some(1200));
    for factor in [1, 1_000, 1_000_000] {
        let alone = life(move |answer| {
            answer.remove("expires_in");
            let seconds = answer.remove("expires_at").and_then(|value| value.as_u64()).unwrap();
            answer.insert("expires_at".to_owned(), json!(seconds * factor));
        });
        let alone = alone.await.unwrap();
        assert!((1198..=1201).contains(&alone), "{factor}: {alone}");
    }
    let long_past = life(|answer| {
        answer.insert("expires_at".to_owned(), json!(1_000_000_000));
    });
    assert!(matches!(long_past.await, Some(1199 | 1200)));
}

#[tokio::test]
async fn a_token_that_is_dead_on_arrival_serves_those_who_waited_and_makes_no_fetch_loop() {
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(Behaviour::Hold);
    let idaas = builder(&issuer).build().unwrap();
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let idaas = idaas.clone();
            tokio::spawn(async move { idaas.token().await.map(|token| token.expose_token().to_owned()) })
        })
        .collect();
    issuer.wait_for_held(1).await;
    issuer.release_with(Behaviour::change(|answer| {
        answer.insert("expires_in".to_owned(), json!(0));
    }));
    let mut tokens = Vec::new();
    for waiting in waiting {
        tokens.push(waiting.await.unwrap().unwrap());
    }
    tokens.dedup();
    assert_eq!((tokens.len(), issuer.token_requests()), (1, 1));
    assert!(idaas.peek().is_none());
}

#[tokio::test]
async fn bearer_in_any_letter_case_or_no_token_type_passes() {
    for token_type in [None, Some(json!(null)), Some(json!("bearer")), Some(json!("BEARER"))] {
        let kept = life(move |answer| {
            answer.remove("token_type");
            if let Some(value) = &token_type {
                answer.insert("token_type".to_owned(), value.clone());
            }
        });
        assert!(matches!(kept.await, Some(1199 | 1200)));
    }
}
