//! What the metrics say, as Prometheus reads them.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusBuilder;
use tower::{Layer, Service, service_fn};
use tower_idaas::clock::ManualClock;
use tower_idaas::{
    BoxError, BoxFuture, Error, ErrorKind, Idaas, Scope, SubjectToken, TokenResponse, TokenSource,
};

/// Tokens of twenty minutes; none for `api://none|read`.
#[derive(Debug)]
struct Source;

impl TokenSource for Source {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            match scope.audience() {
                "api://none" => Err(Error::new(ErrorKind::Refused, "no, said the test")),
                _ => Ok(TokenResponse::bearer("marker-token")?.with_expires_in(Duration::from_secs(1200))),
            }
        })
    }
}

/// Runs the scene on one thread with a recorder of its own, and gives what it has recorded.
fn recorded<F: Future<Output = Result<(), BoxError>>>(scene: impl FnOnce(Idaas, ManualClock) -> F) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let clock = ManualClock::new();
    let idaas = Idaas::builder()
        .scope("api://a|read")
        .token_source(Source)
        .scope_capacity(64)
        .clock(clock.clone())
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(scene(idaas, clock))).unwrap();
    let text = recorder.handle().render();
    assert!(!text.contains("marker-token"), "{text}");
    text
}

const LABELS: &str = r#"client="",method="token source",scope="api://a|read""#;

fn says(text: &str, line: &str) -> bool {
    text.lines().any(|other| other == line)
}

#[test]
fn fetches_are_counted_by_outcome_and_cause_and_timed() {
    let text = recorded(|idaas, clock| async move {
        idaas.prefetch().await?;
        idaas.token().await?;
        clock.advance(Duration::from_secs(1201));
        idaas.prefetch().await?;
        idaas.invalidate(&idaas.token().await?);
        clock.advance(Duration::from_secs(2));
        idaas.prefetch().await?;
        idaas.token_for(&"api://none|read".parse()?).await.unwrap_err();
        Ok(())
    });
    let counted = |outcome: &str, cause: &str, scope: &str, count: usize| {
        let labels = LABELS.replace("api://a|read", scope);
        let labels = format!(r#"{labels},outcome="{outcome}",cause="{cause}""#);
        says(&text, &format!("idaas_refreshes_total{{{labels}}} {count}"))
    };
    assert!(counted("fetched", "missing", "api://a|read", 2), "{text}");
    assert!(counted("fetched", "invalidated", "api://a|read", 1), "{text}");
    assert!(counted("failed", "missing", "api://none|read", 1), "{text}");
    assert!(
        says(&text, &format!(r#"idaas_refresh_seconds_count{{{LABELS},outcome="fetched"}} 3"#)),
        "{text}"
    );
    assert!(says(&text, &format!("idaas_invalidated_total{{{LABELS}}} 1")), "{text}");
}

#[test]
fn the_life_that_is_left_is_recorded_at_each_call() {
    let text = recorded(|idaas, clock| async move {
        idaas.prefetch().await?;
        clock.advance(Duration::from_secs(1000));
        idaas.record_metrics();
        Ok(())
    });
    assert!(says(&text, &format!("idaas_expires_in_seconds{{{LABELS}}} 199")), "{text}");
    assert!(says(&text, r#"idaas_circuit_closed{client="",method="token source"} 1"#), "{text}");
    assert!(says(&text, r#"idaas_requests_in_flight{client="",method="token source"} 0"#), "{text}");
    assert!(text.contains("# HELP idaas_circuit_closed 1, or 0 while"), "{text}");
}

#[test]
fn the_gauge_of_a_scope_that_has_gone_or_was_never_requested_is_not_left_behind() {
    let text = recorded(|idaas, _| async move {
        for number in 0..=64 {
            idaas.token_for(&format!("api://{number}|read").parse()?).await?;
        }
        idaas.record_metrics();
        Ok(())
    });
    let line = |scope: &str| {
        let labels = LABELS.replace("api://a|read", scope);
        let name = format!("idaas_expires_in_seconds{{{labels}}} ");
        text.lines().find_map(|line| line.strip_prefix(&*name)).map(|value| value.parse::<f64>().unwrap())
    };
    assert_eq!(line("api://0|read"), Some(0.0), "the least recently used of 65");
    assert!(line("api://64|read").unwrap() > 1_000.0);
    assert_eq!(line("api://a|read"), None, "the default scope, which no request used");
}

#[cfg(feature = "transport")]
#[test]
fn exchanges_count_under_a_method_of_their_own_and_leave_the_gauges_of_the_tokens_alone() {
    use tower_idaas_testing::{Behaviour, TestIdaas};

    let text = recorded(|_, clock| async move {
        let server = TestIdaas::builder().clock(clock.clone()).start().await?;
        let idaas = server.handle().clock(clock.clone()).build()?;
        let caller =
            |user| Ok::<_, BoxError>(SubjectToken::access_token(server.user_token(user, server.scope())?));
        idaas.prefetch().await?;
        idaas.exchange(&caller("user_1")?).await?;
        idaas.exchange(&caller("user_2")?).await?;
        server.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
        idaas.exchange(&caller("user_3")?).await.unwrap_err();
        Ok(())
    });
    let lines = |name: &str| -> Vec<&str> {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.trim_start_matches(name)).collect()
    };
    let [life] = lines("idaas_expires_in_seconds")[..] else { panic!("one gauge, of one token: {text}") };
    assert!(!life.contains("token exchange"), "{life}");
    let circuits = lines("idaas_circuit_closed");
    assert_eq!(circuits.len(), 2, "one for each kind: {text}");
    assert!(
        circuits.iter().all(|circuit| circuit.ends_with(" 1")),
        "one subject's failure is its own: {text}"
    );
    let fetched = r#"outcome="fetched",cause="missing"}"#;
    let mut counts: Vec<_> =
        lines("idaas_refreshes_total").into_iter().filter(|line| line.contains(fetched)).collect();
    counts.sort_by_key(|line| line.contains("token exchange"));
    assert!(
        matches!(counts[..], [own, exchanged] if own.ends_with(" 1") && exchanged.ends_with(" 2")),
        "{text}"
    );
}

#[test]
fn those_who_wait_are_counted_while_they_do() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let idaas = Idaas::builder().scope("api://a|read").token_source(Source).build().unwrap();
    let waiters =
        |count: usize| says(&recorder.handle().render(), &format!("idaas_waiters{{{LABELS}}} {count}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let mut callers: Vec<_> = (0..3).map(|_| tokio_test::task::spawn(idaas.token())).collect();
            for caller in &mut callers {
                assert!(caller.poll().is_pending());
            }
            assert!(waiters(3));
            // One gives up.
            drop(callers.pop());
            assert!(waiters(2));
            for caller in callers {
                caller.await.unwrap();
            }
        });
    });
    assert!(waiters(0));
}

#[test]
fn an_issuer_that_is_left_alone_shows_as_an_open_circuit_and_refused_fetches() {
    #[derive(Debug)]
    struct Down;
    impl TokenSource for Down {
        fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
            Box::pin(async { Err(Error::new(ErrorKind::Connect, "no route, said the test")) })
        }
    }
    let text = recorded(|_, clock| async move {
        let idaas = Idaas::builder().scope("api://a|read").token_source(Down).clock(clock).build()?;
        idaas.prefetch().await.unwrap_err();
        // Another scope may work where the first one fails; after that, one like them is refused.
        for scope in ["api://b|read", "api://c|read"] {
            idaas.token_for(&scope.parse()?).await.unwrap_err();
        }
        Ok(())
    });
    assert!(says(&text, r#"idaas_circuit_closed{client="",method="token source"} 0"#), "{text}");
    let refused = r#"client="",method="token source",scope="api://c|read",outcome="refused",cause="missing""#;
    assert!(says(&text, &format!("idaas_refreshes_total{{{refused}}} 1")), "{text}");
}

#[test]
fn a_circuit_whose_pause_is_over_shows_as_closed_although_no_request_has_come_since() {
    #[derive(Debug)]
    struct Down;
    impl TokenSource for Down {
        fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
            Box::pin(async { Err(Error::new(ErrorKind::Unavailable, "not now, said the test")) })
        }

        fn exchange<'a>(
            &'a self,
            _: &'a SubjectToken,
            _: &'a Scope,
        ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
            Box::pin(async { Err(Error::new(ErrorKind::Connect, "no route, said the test")) })
        }
    }
    let recorded_after = |pause: Duration| {
        let text = recorded(|_, clock| async move {
            let builder = Idaas::builder().scope("api://a|read").token_source(Down);
            let idaas = builder.clock(clock.clone()).build()?;
            idaas.prefetch().await.unwrap_err();
            idaas.exchange(&SubjectToken::access_token("one")).await.unwrap_err();
            clock.advance(pause);
            idaas.record_metrics();
            Ok(())
        });
        ["token source", "token exchange"].map(|method| {
            let line = format!(r#"idaas_circuit_closed{{client="",method="{method}"}} "#);
            let value = text.lines().find_map(|other| other.strip_prefix(&*line));
            value.unwrap_or_else(|| panic!("{text}")).to_owned()
        })
    };
    // A source of the program's that cannot connect for one party refuses no other.
    assert_eq!(recorded_after(Duration::from_millis(100)), ["0", "1"]);
    assert_eq!(recorded_after(Duration::from_secs(5)), ["1", "1"]);
}

#[test]
fn a_401_to_our_token_is_counted() {
    let text = recorded(|idaas, _| async move {
        let inner = service_fn(|_: Request<()>| async {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            Ok::<_, BoxError>(response)
        });
        let mut client = idaas.layer().layer(inner);
        for _ in 0..2 {
            std::future::poll_fn(|context| Service::<Request<()>>::poll_ready(&mut client, context)).await?;
            client.call(Request::get("https://api.example.com/").body(())?).await?;
        }
        Ok(())
    });
    assert!(says(&text, "idaas_unauthorized_total 2"), "{text}");
}

#[cfg(feature = "reqwest")]
#[test]
fn a_401_to_what_is_sent_without_tower_is_counted_too() {
    let text = recorded(|idaas, _| async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let refusing = axum::Router::new().fallback(|| async { StatusCode::UNAUTHORIZED });
        tokio::spawn(async move { axum::serve(listener, refusing).await });
        idaas.send(reqwest::Client::builder().no_proxy().build()?.get(url)).await?;
        Ok(())
    });
    assert!(says(&text, "idaas_unauthorized_total 2"), "{text}");
}

#[test]
fn a_recorder_that_panics_while_a_panic_of_the_source_unwinds_does_not_end_the_process() {
    #[derive(Debug)]
    struct Panics;
    impl TokenSource for Panics {
        fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
            Box::pin(async { std::panic::panic_any("a panic of the source that the test asked for") })
        }
    }
    /// Panics wherever something is counted but a gauge up.
    #[derive(Debug)]
    struct Recorder;
    fn panics() -> ! {
        std::panic::panic_any("a panic of the recorder that the test asked for")
    }
    impl CounterFn for Recorder {
        fn increment(&self, _: u64) {
            panics()
        }
        fn absolute(&self, _: u64) {}
    }
    impl GaugeFn for Recorder {
        fn increment(&self, _: f64) {}
        fn decrement(&self, _: f64) {
            panics()
        }
        fn set(&self, _: f64) {
            panics()
        }
    }
    impl metrics::Recorder for Recorder {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(Arc::new(Self))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::new(Self))
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }
    let idaas = Idaas::builder().scope("api://a|read").token_source(Panics).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = metrics::with_local_recorder(&Recorder, || runtime.block_on(idaas.prefetch())).unwrap_err();
    assert!(error.kind() == ErrorKind::Runtime && error.to_string().contains("panicked"), "{error}");
}
