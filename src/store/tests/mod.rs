//! The store in front of a source, without a server: what holds for every store.

#![allow(clippy::unwrap_used)]

mod troubled;
mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use self::troubled::Troubled;
use crate::clock::ManualClock;
use crate::store::{MemoryStore, SharedStore, TokenStore};
use crate::testing::TestIdaas;
use crate::{
    BoxError, BoxFuture, Error, Idaas, Scope, SecretSource, SubjectToken, TokenResponse, TokenSource,
};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const LIFE: Duration = Duration::from_secs(1200);

/// Brings `token-1`, `token-2` and so on.
#[derive(Clone, Debug, Default)]
struct Mint(Arc<AtomicU64>);

impl TokenSource for Mint {
    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(TokenResponse::bearer(&format!("token-{number}"))?.with_expires_in(LIFE))
        })
    }
}

fn shared(store: impl TokenStore) -> SharedStore {
    SharedStore::new(store, SecretSource::value(KEY.to_owned())).namespace("test")
}

fn instance(mint: &Mint, store: impl TokenStore, clock: &ManualClock) -> Idaas {
    let builder = Idaas::builder().scope("api://a|read").token_source(mint.clone()).clock(clock.clone());
    builder.token_store(shared(store)).build().unwrap()
}

async fn token(idaas: &Idaas) -> String {
    idaas.token().await.unwrap().expose_token().to_owned()
}

#[tokio::test]
async fn a_shared_token_is_renewed_and_ends_by_its_true_age() {
    let (mint, clock) = (Mint::default(), ManualClock::new());
    let store = MemoryStore::with_clock(clock.clone());
    let first = instance(&mint, store.clone(), &clock);
    token(&first).await;
    clock.advance(LIFE * 4 / 10);
    let second = instance(&mint, store, &clock);
    assert_eq!(token(&second).await, "token-1");
    let ends = |idaas: &Idaas| idaas.peek().unwrap().expires_at();
    let apart = ends(&second).duration_since(ends(&first)).unwrap_or_default();
    assert!(apart < Duration::from_millis(2), "{apart:?}");
    clock.advance(LIFE * 6 / 10);
    assert!(first.peek().is_none() && second.peek().is_none());
}

#[tokio::test]
async fn a_token_of_half_its_life_is_replaced_for_all() {
    let (mint, clock) = (Mint::default(), ManualClock::new());
    let store = MemoryStore::with_clock(clock.clone());
    token(&instance(&mint, store.clone(), &clock)).await;
    clock.advance(LIFE / 2);
    assert_eq!(token(&instance(&mint, store.clone(), &clock)).await, "token-2");
    assert_eq!(token(&instance(&mint, store, &clock)).await, "token-2");
}

#[tokio::test]
async fn the_machine_that_was_started_after_the_token_was_issued_counts_no_worse() {
    // Its monotonic clock has not run for as long as the token lives.
    let response = TokenResponse::bearer("t").unwrap().with_expires_in(LIFE);
    let young = crate::clock::Timestamp { monotonic: 1, wall: 1_700_000_000_000_000_000 };
    let aged = TokenResponse { age: Some(LIFE / 4), ..response };
    let fetched = crate::token::fetched(aged, &Scope::parse("a|b").unwrap(), young);
    assert_eq!((fetched.sent, fetched.life), (young, LIFE * 3 / 4));
}

#[tokio::test]
async fn a_short_lived_token_is_not_shared() {
    #[derive(Debug)]
    struct Brief;
    impl TokenSource for Brief {
        fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
            Box::pin(async { Ok(TokenResponse::bearer("t")?.with_expires_in(Duration::from_millis(500))) })
        }
    }
    let store = MemoryStore::new();
    let builder = Idaas::builder().scope("api://a|read").token_source(Brief);
    builder.token_store(shared(store.clone())).build().unwrap().prefetch().await.unwrap();
    assert!(store.values().is_empty());
}

#[tokio::test]
async fn the_token_endpoints_tokens_are_shared_and_exchanged_ones_are_not() -> Result<(), BoxError> {
    let issuer = TestIdaas::start().await?;
    let store = MemoryStore::new();
    let instance = || {
        Idaas::builder()
            .environment(issuer.environment())
            .instance_id(TestIdaas::INSTANCE_ID)
            .client_id(issuer.client_id())
            .issuer(issuer.issuer())
            .token_endpoint(issuer.token_endpoint())
            .scope(issuer.scope().as_str())
            .authenticator(ClientSecretPost::new(SecretSource::variable(TestIdaas::SECRET_VARIABLE)))
            .root_certificate(issuer.root_certificate_pem())
            .token_store(SharedStore::new(store.clone(), SecretSource::value(KEY.to_owned())))
            .build()
    };
    let (first, second) = (instance()?, instance()?);
    assert_eq!(first.token().await?.expose_token(), second.token().await?.expose_token());
    assert_eq!(issuer.token_requests(), 1);
    let subject = SubjectToken::access_token(issuer.user_token("somebody", issuer.scope())?);
    first.exchange(&subject).await?;
    second.exchange(&subject).await?;
    assert_eq!((issuer.token_requests(), store.values().len()), (3, 1));
    Ok(())
}

#[tokio::test]
async fn whichever_call_of_the_store_fails_the_token_comes() {
    for operation in ["get", "put", "lock", "unlock", "remove"] {
        let (mint, clock) = (Mint::default(), ManualClock::new());
        let idaas = instance(&mint, Troubled { fails: operation, ..Troubled::default() }, &clock);
        assert_eq!(token(&idaas).await, "token-1", "{operation}");
        idaas.invalidate(&idaas.token().await.unwrap());
        assert_eq!(token(&idaas).await, "token-2", "{operation}");
    }
}

#[tokio::test]
async fn keys_that_are_gone_later_cost_the_sharing_and_nothing_else() {
    let environment = crate::environment::ManualEnvironment::from_iter([("KEYS", KEY)]);
    let (mint, store) = (Mint::default(), MemoryStore::new());
    let shared = SharedStore::new(store.clone(), SecretSource::variable("KEYS")).namespace("test");
    let builder = Idaas::builder().scope("api://a|read").token_source(mint).environment(environment.clone());
    let idaas = builder.token_store(shared).build().unwrap();
    environment.remove("KEYS");
    assert_eq!(token(&idaas).await, "token-1");
    assert!(store.values().is_empty());
}
