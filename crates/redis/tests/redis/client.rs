//! Clients that share a store, and a scripted source of tokens.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tower_idaas::clock::ManualClock;
use tower_idaas::{
    BoxError, BoxFuture, Error, Idaas, IdaasBuilder, Scope, Secret, SecretSource, TokenResponse, TokenSource,
};
use tower_idaas_redis::{RedisStore, SharedStore};

use super::server::Server;

pub(crate) type Outcome = Result<(), BoxError>;

pub(crate) const LIFE: Duration = Duration::from_secs(1200);
pub(crate) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub(crate) const OTHER_KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

pub(crate) fn redis(server: &Server) -> RedisStore {
    RedisStore::builder(server.source()).build().unwrap()
}

/// A store with a long time-out: the machine that runs the tests may be busy.
pub(crate) fn shared(server: &Server) -> SharedStore {
    shared_under(server, KEY)
}

/// At this address, with all else by default.
pub(crate) fn store_at(url: String) -> SharedStore {
    let redis = RedisStore::builder(SecretSource::value(Secret::new(url))).build().unwrap();
    SharedStore::new(redis, SecretSource::value(KEY.to_owned())).namespace("test")
}

pub(crate) fn shared_under(server: &Server, keys: &str) -> SharedStore {
    SharedStore::new(redis(server), SecretSource::value(keys.to_owned()))
        .namespace("test")
        .timeout(Duration::from_secs(5))
}

/// One instance of a service.
pub(crate) fn instance(source: &TestSource, store: SharedStore) -> Idaas {
    builder(source, store).build().unwrap()
}

pub(crate) fn instance_at(clock: &ManualClock, source: &TestSource, store: SharedStore) -> Idaas {
    builder(source, store).clock(clock.clone()).build().unwrap()
}

fn builder(source: &TestSource, store: SharedStore) -> IdaasBuilder {
    sharing(Idaas::builder().scope("api://a|read").token_source(source.clone()), store)
}

/// The builder with this store in front of its source.
pub(crate) fn sharing(builder: IdaasBuilder, store: SharedStore) -> IdaasBuilder {
    builder.wrap_source(|source, context| store.in_front_of(source, context))
}

/// The text of the token that the instance has or gets.
pub(crate) async fn token(idaas: &Idaas) -> Result<String, Error> {
    idaas.token().await.map(|token| token.expose_token().to_owned())
}

/// Issues `marker-token-1`, `marker-token-2` and so on, or fails, or waits.
#[derive(Clone, Debug)]
pub(crate) struct TestSource(Arc<watch::Sender<SourceState>>);

#[derive(Debug, Default)]
struct SourceState {
    fetches: u64,
    holds: bool,
    failure: Option<Error>,
}

impl TestSource {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn fetches(&self) -> u64 {
        self.0.borrow().fetches
    }

    pub(crate) fn hold(&self) {
        self.0.send_modify(|state| state.holds = true);
    }

    pub(crate) fn release(&self) {
        self.0.send_modify(|state| state.holds = false);
    }

    pub(crate) fn fail_with(&self, error: impl Into<Option<Error>>) {
        self.0.send_modify(|state| state.failure = error.into());
    }

    /// Returns when that many fetches have begun.
    pub(crate) async fn wait_for_fetches(&self, fetches: u64) {
        self.0.subscribe().wait_for(|state| state.fetches >= fetches).await.unwrap();
    }
}

impl TokenSource for TestSource {
    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            let mut number = 0;
            self.0.send_modify(|state| {
                state.fetches += 1;
                number = state.fetches;
            });
            let state = self.0.subscribe();
            let _ = state.clone().wait_for(|state| !state.holds).await;
            if let Some(error) = state.borrow().failure.clone() {
                return Err(error);
            }
            Ok(TokenResponse::bearer(&format!("marker-token-{number}"))?
                .with_expires_in(LIFE)
                .with_granted_scope("api://a|read"))
        })
    }
}
