//! What the metrics of the store say, as Prometheus reads them.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{
    BoxError, BoxFuture, Error, ErrorKind, Idaas, IdaasBuilder, Scope, SecretSource, TokenResponse,
    TokenSource,
};
use tower_idaas_redis::{MemoryStore, SharedStore, StoredValue, TokenStore, describe_metrics};

/// Tokens of twenty minutes.
#[derive(Debug)]
struct Source;

impl TokenSource for Source {
    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async {
            Ok(TokenResponse::bearer("marker-token")?.with_expires_in(Duration::from_secs(1200)))
        })
    }
}

fn sharing(builder: IdaasBuilder, store: SharedStore) -> IdaasBuilder {
    builder.wrap_source(|source, context| store.in_front_of(source, context))
}

/// Runs the scene on one thread with a recorder of its own, and returns what that has recorded.
fn recorded<F: Future<Output = Result<(), BoxError>>>(scene: impl FnOnce(ManualClock) -> F) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        describe_metrics();
        runtime.block_on(scene(ManualClock::new()))
    })
    .unwrap();
    let text = recorder.handle().render();
    assert!(!text.contains("marker-token"), "{text}");
    text
}

const LABELS: &str = r#"client="",method="token source",scope="api://a|read""#;

fn says(text: &str, line: &str) -> bool {
    text.lines().any(|other| other == line)
}

#[test]
fn lookups_and_faults_are_counted() {
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let text = recorded(|clock| async move {
        let store = MemoryStore::with_clock(clock.clone());
        let environment = ManualEnvironment::from_iter([("KEYS", key)]);
        let instance = || {
            let shared = SharedStore::new(store.clone(), SecretSource::variable("KEYS")).namespace("n");
            let builder = Idaas::builder().scope("api://a|read").token_source(Source).clock(clock.clone());
            sharing(builder.environment(environment.clone()), shared).build()
        };
        let (first, second, third) = (instance()?, instance()?, instance()?);
        first.prefetch().await?;
        second.prefetch().await?;
        environment.remove("KEYS");
        // For a moment the last keys stand in.
        third.token_for(&"api://b|read".parse()?).await?;
        clock.advance(Duration::from_secs(10));
        third.token_for(&"api://c|read".parse()?).await?;
        Ok(())
    });
    let looks = |outcome: &str| format!(r#"idaas_store_lookups_total{{{LABELS},outcome="{outcome}"}}"#);
    assert!(says(&text, &format!("{} 1", looks("hit"))), "{text}");
    // Once before the lock is taken, and once with it.
    assert!(says(&text, &format!("{} 2", looks("miss"))), "{text}");
    let fault = r#"idaas_store_faults_total{client="",method="token source",operation="key"} 1"#;
    assert!(says(&text, fault), "{text}");
    let shared = format!(r#"idaas_refreshes_total{{{LABELS},outcome="shared",cause="missing"}} 1"#);
    assert!(says(&text, &shared), "{text}");
}

/// Responds while it is switched on.
#[derive(Clone, Debug, Default)]
struct Switched(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Switched {
    fn respond<'a, T: Send + 'a>(&self, response: T) -> BoxFuture<'a, Result<T, Error>> {
        let on = self.0.load(std::sync::atomic::Ordering::SeqCst);
        let response =
            on.then_some(response).ok_or_else(|| Error::new(ErrorKind::Unavailable, "off, said the test"));
        Box::pin(std::future::ready(response))
    }
}

impl TokenStore for Switched {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<StoredValue>, Error>> {
        self.respond(None)
    }

    fn put<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: &'a [u8],
        _: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.respond(true)
    }

    fn try_lock<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> BoxFuture<'a, Result<bool, Error>> {
        self.respond(true)
    }

    fn unlock<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.respond(())
    }

    fn remove<'a>(&'a self, _: &'a str, _: &'a [u8]) -> BoxFuture<'a, Result<bool, Error>> {
        self.respond(true)
    }
}

#[test]
fn the_gauge_follows_the_store_and_not_its_keys() {
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let gauge = |open: u8| format!(r#"idaas_store_circuit_closed{{client="",method="token source"}} {open}"#);
    // Up, down, and up again; and then the keys are gone.
    for (steps, keys_go, open) in [(1, false, 1), (2, false, 0), (3, false, 1), (1, true, 1), (2, true, 0)] {
        let text = recorded(|clock| async move {
            let (store, environment) = (Switched::default(), ManualEnvironment::from_iter([("KEYS", key)]));
            let shared = SharedStore::new(store.clone(), SecretSource::variable("KEYS")).namespace("n");
            let builder = Idaas::builder().scope("api://a|read").token_source(Source).clock(clock.clone());
            let idaas = sharing(builder.environment(environment.clone()), shared).build()?;
            for step in 0..steps {
                store.0.store(step % 2 == 0, std::sync::atomic::Ordering::SeqCst);
                idaas.token_for(&format!("api://{step}|read").parse()?).await?;
                clock.advance(Duration::from_secs(60));
            }
            if keys_go {
                environment.remove("KEYS");
                idaas.token_for(&"api://keyless|read".parse()?).await?;
            }
            Ok(())
        });
        assert!(says(&text, &gauge(open)), "{steps} {keys_go}: {text}");
    }
}

/// A circuit changes by time alone as well, and a quiet client asks nothing that would set the gauge.
#[test]
fn the_gauge_is_what_is_so_when_metrics_are_collected() {
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let gauge =
        |closed: u8| format!(r#"idaas_store_circuit_closed{{client="",method="token source"}} {closed}"#);
    for (pause, closed) in [(0, 0), (60, 1)] {
        let text = recorded(|clock| async move {
            let environment = ManualEnvironment::from_iter([("KEYS", key)]);
            let shared = SharedStore::new(Switched::default(), SecretSource::variable("KEYS")).namespace("n");
            let builder = Idaas::builder().scope("api://a|read").token_source(Source).clock(clock.clone());
            let idaas = sharing(builder.environment(environment), shared).build()?;
            idaas.prefetch().await?;
            clock.advance(Duration::from_secs(pause));
            idaas.record_metrics();
            Ok(())
        });
        assert!(says(&text, &gauge(closed)), "{pause}: {text}");
    }
}
