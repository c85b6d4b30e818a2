//! Whose turn it is, and what becomes of locks.

use std::time::Duration;

use crate::clock::ManualClock;
use crate::store::tests::troubled::Troubled;
use crate::store::tests::{LIFE, Mint, instance, shared, token};
use crate::store::{MemoryStore, TokenStore};
use crate::{BoxFuture, Error, Idaas, Scope, TokenResponse, TokenSource};

/// What of the clock of the runtime a call takes, which stands still but for pauses.
async fn elapsed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let started = tokio::time::Instant::now();
    let answer = call.await;
    (answer, started.elapsed())
}

/// The same, of somebody who needs a new token.
async fn renewed(idaas: &Idaas) -> (String, Duration) {
    idaas.invalidate(&idaas.token().await.unwrap());
    elapsed(token(idaas)).await
}

/// A store of which somebody holds the lock of the only name, and does not let go of it.
async fn held(clock: &ManualClock) -> MemoryStore {
    let store = MemoryStore::with_clock(clock.clone());
    token(&instance(&Mint::default(), store.clone(), clock)).await;
    let (name, value) = store.values().remove(0);
    assert!(store.remove(&name, &value).await.unwrap());
    assert!(store.try_lock(&name, "somebody", LIFE * 100).await.unwrap());
    store
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_is_not_repeated_for_a_while() {
    let (mint, clock) = (Mint::default(), ManualClock::new());
    let idaas = instance(&mint, held(&clock).await, &clock);
    let wait = Duration::from_secs(10);
    let (first, took) = elapsed(token(&idaas)).await;
    assert!(first == "token-1" && took >= wait && took < wait + wait / 10, "{took:?}");
    let (second, took) = renewed(&idaas).await;
    assert!(second == "token-2" && took < Duration::from_millis(100), "{took:?}");
    clock.advance(Duration::from_secs(60));
    let (third, took) = renewed(&idaas).await;
    assert!(third == "token-3" && took >= wait, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn half_of_the_time_that_callers_have_is_left_to_the_issuer() {
    let (mint, clock) = (Mint::default(), ManualClock::new());
    let store = held(&clock).await;
    let builder = Idaas::builder().scope("api://a|read").token_source(mint).clock(clock);
    let idaas = builder.token_store(shared(store)).wait_timeout(Duration::from_secs(3)).build().unwrap();
    let (token, took) = elapsed(idaas.token()).await;
    assert!(token.is_ok() && took < Duration::from_secs(2), "{took:?}: {token:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_taken_without_our_knowledge_is_given_back() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let late = Troubled { store: store.clone(), is_late: "lock", ..Troubled::default() };
    assert_eq!(token(&instance(&Mint::default(), late, &clock)).await, "token-1");
    // Its failure has closed the gate, and yet the token was left and the lock given back.
    let name = store.values().remove(0).0;
    assert!(store.try_lock(&name, "another", LIFE).await.unwrap());
}

#[tokio::test]
async fn a_token_in_hand_is_not_lost_with_the_lock() {
    let (mint, clock) = (Mint::default(), ManualClock::new());
    let before = MemoryStore::with_clock(clock.clone());
    token(&instance(&mint, before.clone(), &clock)).await;
    let left = Some(before.values().remove(0)).into();
    let store = MemoryStore::with_clock(clock.clone());
    // The lock cannot be given back.
    let store = Troubled { store, fails: "unlock", left, ..Troubled::default() };
    assert_eq!(token(&instance(&mint, store, &clock)).await, "token-1");
}

#[tokio::test]
async fn a_rejected_token_that_the_issuer_hands_out_again_is_not_shared_again() {
    #[derive(Debug)]
    struct Stubborn;
    impl TokenSource for Stubborn {
        fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
            Box::pin(async { Ok(TokenResponse::bearer("same")?.with_expires_in(LIFE)) })
        }
    }
    let store = MemoryStore::new();
    let builder = Idaas::builder().scope("api://a|read").token_source(Stubborn);
    let idaas = builder.token_store(shared(store.clone())).build().unwrap();
    assert_eq!(token(&idaas).await, "same");
    let name = store.values().remove(0).0;
    idaas.invalidate(&idaas.token().await.unwrap());
    assert_eq!(token(&idaas).await, "same");
    assert!(store.values().is_empty());
    assert!(store.try_lock(&name, "another", LIFE).await.unwrap());
}
