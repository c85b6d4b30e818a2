//! Which process fetches, and what happens to locks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::timeout;
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxFuture, Error, Idaas, Scope, TokenResponse, TokenSource};

use crate::tests::faulty::Faulty;
use crate::tests::{LIFE, TestSource, instance, shared, sharing, token};
use crate::{MemoryStore, TokenStore};

/// The time that a call takes by the clock of the runtime, which stands still but for pauses.
async fn elapsed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let started = tokio::time::Instant::now();
    let result = call.await;
    (result, started.elapsed())
}

/// The same of a client that needs a new token.
async fn renewed(idaas: &Idaas) -> (String, Duration) {
    idaas.invalidate(&idaas.token().await.unwrap());
    elapsed(token(idaas)).await
}

/// A store in which another process holds the lock of the only name, and does not end it.
async fn held(clock: &ManualClock) -> MemoryStore {
    let store = MemoryStore::with_clock(clock.clone());
    token(&instance(&TestSource::default(), store.clone(), clock)).await;
    let (name, value) = store.values().remove(0);
    assert!(store.remove(&name, &value).await.unwrap());
    assert!(store.try_lock(&name, "another process", LIFE * 100).await.unwrap());
    store
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_is_not_repeated_for_a_while() {
    let (source, clock) = (TestSource::default(), ManualClock::new());
    let idaas = instance(&source, held(&clock).await, &clock);
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
    let (source, clock) = (TestSource::default(), ManualClock::new());
    let store = held(&clock).await;
    let builder = Idaas::builder().scope("api://a|read").token_source(source).clock(clock);
    let idaas = sharing(builder, shared(store)).wait_timeout(Duration::from_secs(3)).build().unwrap();
    let (token, took) = elapsed(idaas.token()).await;
    assert!(token.is_ok() && took < Duration::from_secs(2), "{took:?}: {token:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_response_was_lost_is_ended() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let delayed = Faulty { store: store.clone(), delayed: "lock", ..Faulty::default() };
    assert_eq!(token(&instance(&TestSource::default(), delayed, &clock)).await, "token-1");
    // The failure has opened the circuit breaker; the token was stored and the lock ended all the same.
    let name = store.values().remove(0).0;
    assert!(store.try_lock(&name, "another", LIFE).await.unwrap());
}

#[tokio::test]
async fn a_token_that_was_found_is_used_though_the_lock_cannot_be_ended() {
    let (source, clock) = (TestSource::default(), ManualClock::new());
    let before = MemoryStore::with_clock(clock.clone());
    token(&instance(&source, before.clone(), &clock)).await;
    let arrives = Some(before.values().remove(0)).into();
    let store = MemoryStore::with_clock(clock.clone());
    let store = Faulty { store, fails: "unlock", arrives, ..Faulty::default() };
    assert_eq!(token(&instance(&source, store, &clock)).await, "token-1");
}

#[tokio::test]
async fn a_rejected_token_that_the_issuer_issues_again_is_not_shared_again() {
    #[derive(Debug)]
    struct Stubborn;
    impl TokenSource for Stubborn {
        fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
            Box::pin(async { Ok(TokenResponse::bearer("same")?.with_expires_in(LIFE)) })
        }
    }
    let store = MemoryStore::new();
    let builder = Idaas::builder().scope("api://a|read").token_source(Stubborn);
    let idaas = sharing(builder, shared(store.clone())).build().unwrap();
    assert_eq!(token(&idaas).await, "same");
    let name = store.values().remove(0).0;
    idaas.invalidate(&idaas.token().await.unwrap());
    assert_eq!(token(&idaas).await, "same");
    assert!(store.values().is_empty());
    assert!(store.try_lock(&name, "another", LIFE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_was_cancelled_does_not_cost_its_process_the_lease() {
    /// The first call never ends.
    #[derive(Debug, Default)]
    struct Hanging(AtomicBool);
    impl TokenSource for Hanging {
        fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
            Box::pin(async {
                if !self.0.swap(true, Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                Ok(TokenResponse::bearer("second")?.with_expires_in(LIFE))
            })
        }
    }
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    // The source alone, as the cache calls it.
    let captured = Arc::new(OnceLock::new());
    let capture = Arc::clone(&captured);
    let shared = shared(store).lease(Duration::from_secs(600));
    Idaas::builder()
        .scope("api://a|read")
        .token_source(Hanging::default())
        .clock(clock)
        .wrap_source(move |source, context| {
            let source: Arc<dyn TokenSource> = Arc::new(shared.in_front_of(source, context)?);
            Ok(Arc::clone(capture.get_or_init(|| source)))
        })
        .build()
        .unwrap();
    let (source, scope) = (captured.get().unwrap(), "api://a|read".parse().unwrap());
    // A second later its runtime stands still, or it is dropped.
    timeout(Duration::from_secs(1), source.fetch(&scope)).await.unwrap_err();
    let (second, took) = elapsed(source.fetch(&scope)).await;
    assert_eq!(second.unwrap().expose_token(), "second");
    assert!(took < Duration::from_millis(100), "{took:?}");
}
