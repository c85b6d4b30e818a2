//! The store in front of a source, without a server: what holds for each store.

#![allow(clippy::unwrap_used)]

mod faulty;
mod locks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tower_idaas::authn::{Authenticator, TokenRequest};
use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{
    BoxError, BoxFuture, Error, Idaas, IdaasBuilder, Scope, SecretSource, SubjectToken, TokenResponse,
    TokenSource,
};
use tower_idaas_testing::TestIdaas;

use self::faulty::Faulty;
use crate::last_good::GRACE;
use crate::{MemoryStore, SharedStore, TokenStore};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const LIFE: Duration = Duration::from_secs(1200);

/// Issues `token-1`, `token-2` and so on.
#[derive(Clone, Debug, Default)]
struct TestSource(Arc<AtomicU64>);

impl TokenSource for TestSource {
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

/// The builder with this store in front of its source.
fn sharing(builder: IdaasBuilder, store: SharedStore) -> IdaasBuilder {
    builder.wrap_source(|source, context| store.in_front_of(source, context))
}

fn instance(source: &TestSource, store: impl TokenStore, clock: &ManualClock) -> Idaas {
    let builder = Idaas::builder().scope("api://a|read").token_source(source.clone()).clock(clock.clone());
    sharing(builder, shared(store)).build().unwrap()
}

async fn token(idaas: &Idaas) -> String {
    idaas.token().await.unwrap().expose_token().to_owned()
}

#[tokio::test]
async fn a_shared_token_is_refreshed_and_ends_by_its_true_age() {
    let (source, clock) = (TestSource::default(), ManualClock::new());
    let store = MemoryStore::with_clock(clock.clone());
    let first = instance(&source, store.clone(), &clock);
    token(&first).await;
    clock.advance(LIFE * 4 / 10);
    let second = instance(&source, store, &clock);
    assert_eq!(token(&second).await, "token-1");
    let ends = |idaas: &Idaas| idaas.peek().unwrap().expires_at();
    let apart = ends(&second).duration_since(ends(&first)).unwrap_or_default();
    assert!(apart < Duration::from_millis(2), "{apart:?}");
    clock.advance(LIFE * 6 / 10);
    assert!(first.peek().is_none() && second.peek().is_none());
}

#[tokio::test]
async fn a_token_of_half_its_life_is_replaced_for_all() {
    let (source, clock) = (TestSource::default(), ManualClock::new());
    let store = MemoryStore::with_clock(clock.clone());
    token(&instance(&source, store.clone(), &clock)).await;
    clock.advance(LIFE / 2);
    assert_eq!(token(&instance(&source, store.clone(), &clock)).await, "token-2");
    assert_eq!(token(&instance(&source, store, &clock)).await, "token-2");
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
    sharing(builder, shared(store.clone())).build().unwrap().prefetch().await.unwrap();
    assert!(store.values().is_empty());
}

#[tokio::test]
async fn tokens_of_the_token_endpoint_are_shared_and_exchanged_ones_are_not() -> Result<(), BoxError> {
    let issuer = TestIdaas::start().await?;
    let store = MemoryStore::new();
    let instance = || {
        // With a method of the vendor's, issuer and client keep tokens apart.
        let shared = SharedStore::new(store.clone(), SecretSource::value(KEY.to_owned()));
        sharing(issuer.handle(), shared).build()
    };
    let (first, second) = (instance()?, instance()?);
    assert_eq!(first.token().await?.expose_token(), second.token().await?.expose_token());
    assert_eq!(issuer.token_requests(), 1);
    let subject = SubjectToken::access_token(issuer.user_token("alice", issuer.scope())?);
    first.exchange(&subject).await?;
    second.exchange(&subject).await?;
    assert_eq!((issuer.token_requests(), store.values().len()), (3, 1));
    Ok(())
}

#[test]
fn a_source_or_a_method_set_in_code_needs_a_namespace() {
    let unnamed = || SharedStore::new(MemoryStore::new(), SecretSource::value(KEY.to_owned()));
    let of_a_source = || Idaas::builder().scope("api://a|read").token_source(TestSource::default());
    let of_a_method = || {
        let builder = Idaas::builder().instance_id("idaas_x").client_id("app_x").scope("api://a|read");
        let builder = builder.issuer("https://a.example").token_endpoint("https://a.example/token");
        builder.environment(ManualEnvironment::new()).authenticator(Method)
    };
    // A client id beside the source is a label, and no proof of who gets which token.
    for builder in [of_a_source(), of_a_source().client_id("app_x"), of_a_method()] {
        let error = sharing(builder, unnamed()).build().unwrap_err().to_string();
        assert!(error.contains("SharedStore::namespace"), "{error}");
    }
    for builder in [of_a_source(), of_a_method()] {
        sharing(builder, unnamed().namespace("n")).build().unwrap();
    }
}

/// An authenticator that sends nothing.
#[derive(Debug)]
struct Method;

impl Authenticator for Method {
    fn authenticate<'a>(&'a self, _: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn whichever_call_of_the_store_fails_there_is_a_token() {
    for operation in ["get", "put", "lock", "unlock", "remove"] {
        let (source, clock) = (TestSource::default(), ManualClock::new());
        let idaas = instance(&source, Faulty { fails: operation, ..Faulty::default() }, &clock);
        assert_eq!(token(&idaas).await, "token-1", "{operation}");
        idaas.invalidate(&idaas.token().await.unwrap());
        assert_eq!(token(&idaas).await, "token-2", "{operation}");
    }
}

#[tokio::test]
async fn keys_that_are_gone_for_good_cost_the_sharing_and_nothing_else() {
    let environment = ManualEnvironment::from_iter([("KEYS", KEY)]);
    let (source, store, clock) = (TestSource::default(), MemoryStore::new(), ManualClock::new());
    let shared = SharedStore::new(store.clone(), SecretSource::variable("KEYS")).namespace("test");
    let builder =
        Idaas::builder().scope("api://a|read").token_source(source).environment(environment.clone());
    let idaas = sharing(builder, shared).clock(clock.clone()).build().unwrap();
    // For a moment the last keys stand in.
    environment.set("KEYS", &KEY[..40]);
    assert_eq!(token(&idaas).await, "token-1");
    assert_eq!(store.values().len(), 1);
    clock.advance(GRACE);
    idaas.token_for(&"api://b|read".parse().unwrap()).await.unwrap();
    assert_eq!(store.values().len(), 1);
    // They are back.
    environment.set("KEYS", KEY);
    idaas.token_for(&"api://c|read".parse().unwrap()).await.unwrap();
    assert_eq!(store.values().len(), 2);
}

#[tokio::test]
async fn a_file_of_keys_that_is_written_anew_costs_nothing_while_it_is_empty_or_torn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, KEY).unwrap();
    let (source, store, clock) = (TestSource::default(), MemoryStore::new(), ManualClock::new());
    let shared = SharedStore::new(store.clone(), SecretSource::file(&path)).namespace("test");
    let builder = Idaas::builder().scope("api://a|read").token_source(source).clock(clock.clone());
    let idaas = sharing(builder, shared).build().unwrap();
    for (number, content) in ["", &KEY[..40], "\u{0}"].into_iter().enumerate() {
        std::fs::write(&path, content).unwrap();
        idaas.token_for(&format!("api://n{number}|read").parse().unwrap()).await.unwrap();
        assert_eq!(store.values().len(), number + 1, "{content:?}");
    }
    std::fs::remove_file(&path).unwrap();
    token(&idaas).await;
    assert_eq!(store.values().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_probe_responds_at_once_while_the_store_hangs_and_makes_the_client_ready_without_it() {
    let (source, clock) = (TestSource::default(), ManualClock::new());
    let store = Arc::new(Faulty { delayed: "get", ..Faulty::default() });
    let idaas = instance(&source, store, &clock);
    // Time stands still between two sleeps: a probe that waited would let it pass.
    let began = tokio::time::Instant::now();
    for _ in 0..100 {
        assert!(!idaas.is_ready());
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(idaas.is_ready(), "the store's time-out is over");
    assert_eq!(source.0.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_never_brought_delay_a_fetch_by_a_second_and_no_more() {
    let source = TestSource::default();
    let keys = SecretSource::from_fn(std::future::pending);
    let store = SharedStore::new(MemoryStore::new(), keys).namespace("test");
    let builder = Idaas::builder().scope("api://a|read").token_source(source);
    let idaas = sharing(builder, store).build().unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(token(&idaas).await, "token-1");
    assert_eq!(started.elapsed().as_millis(), 1_000);
}
