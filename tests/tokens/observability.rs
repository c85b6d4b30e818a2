//! What the log says: one line a fetch, under a name and with fields that stay.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_idaas::clock::ManualClock;
use tower_idaas::{Error, ErrorKind, Idaas, Scope};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::handles::{ADVISORY, Outcome, ScriptedSource, fed_by, settle};

type Line = BTreeMap<&'static str, String>;

/// Keeps the events of a target.
#[derive(Clone)]
struct Lines {
    target: &'static str,
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Default for Lines {
    fn default() -> Self {
        Self::of("tower_idaas::refresh")
    }
}

impl Lines {
    fn of(target: &'static str) -> Self {
        Self { target, lines: Arc::default() }
    }

    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == self.target {
            let mut line = Fields(Line::new());
            event.record(&mut line);
            line.0.insert("name", event.metadata().name().to_owned());
            line.0.insert("level", event.metadata().level().to_string());
            self.lines.lock().unwrap().push(line.0);
        }
    }
}

struct Fields(Line);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

fn names(line: &Line) -> Vec<&'static str> {
    line.keys().copied().collect()
}

#[tokio::test(start_paused = true)]
async fn each_fetch_is_one_line_with_the_same_fields_and_a_hit_is_none() -> Outcome {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;

    idaas.prefetch().await?;
    let [fetched] = &lines.take()[..] else { return Err("one line".into()) };
    let always = ["attempt", "cause", "client", "elapsed"];
    let of_success =
        [&always[..], &["event", "expires_in", "level", "message", "method", "name", "outcome", "scope"]];
    assert_eq!(names(fetched), of_success.concat());
    for (name, value) in [
        ("name", "idaas.refresh"),
        ("event", "idaas.refresh"),
        ("level", "DEBUG"),
        ("message", "token fetched"),
        ("scope", "api://a|read"),
        ("method", "token source"),
        ("cause", "missing"),
        ("attempt", "1"),
        ("outcome", "fetched"),
        ("expires_in", "1200.0"),
    ] {
        assert_eq!(fetched[name], value, "{name}");
    }

    for _ in 0..100 {
        idaas.token().await?;
    }
    assert!(lines.take().is_empty(), "a hit is silent");

    source.fail_with(Error::new(ErrorKind::Refused, "no, said the test").with_request_id("req-7"));
    clock.advance(ADVISORY);
    idaas.token().await?;
    settle().await;
    let [failed] = &lines.take()[..] else { return Err("one line".into()) };
    for (name, value) in [
        ("name", "idaas.refresh"),
        ("level", "WARN"),
        ("cause", "advisory"),
        ("outcome", "failed"),
        ("error", "no, said the test"),
        ("request_id", "req-7"),
    ] {
        assert_eq!(failed[name], value, "{name}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_token_is_reported_and_what_replaces_it_says_why() -> Outcome {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    idaas.invalidate(&idaas.token().await?);
    idaas.token().await?;
    let outcomes: Vec<_> =
        lines.take().iter().map(|line| (line["name"].clone(), line.get("cause").cloned())).collect();
    let expected = [
        ("idaas.refresh", Some("missing")),
        ("idaas.invalidated", None),
        ("idaas.refresh", Some("invalidated")),
    ];
    assert_eq!(outcomes, expected.map(|(name, cause)| (name.to_owned(), cause.map(str::to_owned))));
    Ok(())
}

/// Of each line: its outcome, level, and whether it says how long something lives.
fn outcomes(lines: &Lines) -> Vec<(String, String, bool)> {
    let of = |line: &Line, name| line.get(name).cloned().unwrap_or_default();
    let refreshes = lines.take().into_iter().filter(|line| of(line, "name") == "idaas.refresh");
    refreshes
        .map(|line| (of(&line, "outcome"), of(&line, "level"), line.contains_key("expires_in")))
        .collect()
}

fn line(outcome: &str, level: &str, lives: bool) -> (String, String, bool) {
    (outcome.to_owned(), level.to_owned(), lives)
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_reported_as_any_other_failure() -> Outcome {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    source.panic_from_now_on();
    idaas.token().await.unwrap_err();
    assert_eq!(outcomes(&lines), [line("panicked", "WARN", false)]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_lasts_is_warned_of_once_a_second_and_another_one_at_once() -> Outcome {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let torn = |text: &str| Error::new(ErrorKind::Credential, text).with_transient(true);
    source.fail_with(torn("the file is empty, said the test"));
    // Looked at each 200 ms, from the first second to the last.
    for _ in 0..16 {
        idaas.token().await.unwrap_err();
        clock.advance(Duration::from_millis(200));
    }
    let levels: Vec<_> = outcomes(&lines).into_iter().map(|(_, level, _)| level).collect();
    let warned = levels.iter().filter(|level| *level == "WARN").count();
    assert_eq!((levels.len(), warned, levels[0].as_str()), (16, 4, "WARN"));
    source.fail_with(torn("the file is gone, said the test"));
    idaas.token().await.unwrap_err();
    assert_eq!(outcomes(&lines), [line("failed", "WARN", false)]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn many_failures_at_once_do_not_fill_the_log() -> Outcome {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    source.fail_with(Error::new(ErrorKind::Refused, "no, said the test"));
    for scope in 0..100 {
        idaas.token_for(&format!("api://{scope}|read").parse()?).await.unwrap_err();
    }
    let levels: Vec<_> = outcomes(&lines).into_iter().map(|(_, level, _)| level).collect();
    let warned = levels.iter().filter(|level| *level == "WARN").count();
    assert_eq!((levels.len(), warned), (100, 16));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_an_invalidation_made_void_is_not_reported_as_a_token_that_lives() -> Outcome {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let token = idaas.token().await?;
    clock.advance(ADVISORY);
    source.hold();
    idaas.token().await?;
    source.wait_for_fetches(2).await;
    idaas.invalidate(&token);
    source.release();
    idaas.token().await?;
    settle().await;
    assert_eq!(
        outcomes(&lines),
        [line("fetched", "DEBUG", true), line("void", "DEBUG", false), line("fetched", "DEBUG", true)]
    );
    Ok(())
}

#[test]
fn a_fetch_that_is_lost_with_its_runtime_is_reported_too() -> Outcome {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    tracing::subscriber::with_default(subscriber, || -> Outcome {
        let source = ScriptedSource::new();
        source.hold();
        let (idaas, _clock) = fed_by(&source)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = source.wait_for_fetches(1) => {}
                _ = idaas.token() => {}
            }
        });
        drop(runtime);
        assert_eq!(outcomes(&lines), [line("lost", "DEBUG", false)]);
        Ok(())
    })
}

#[tokio::test]
async fn a_request_that_waits_is_reported_with_the_time_it_waited() -> Outcome {
    let waits = Lines::of("tower_idaas::wait");
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(waits.clone()));
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    idaas.token().await?;
    idaas.token().await?;
    let lines = waits.take();
    let [line] = &lines[..] else { return Err(format!("one line: {lines:?}").into()) };
    assert_eq!((&*line["event"], &*line["scope"]), ("idaas.wait", "api://a|read"));
    assert!(line["waited"].parse::<f64>()? >= 0.0 && !line.contains_key("error"), "{line:?}");

    source.fail_with(Error::new(ErrorKind::Refused, "no, said the test"));
    idaas.token_for(&"api://b|read".parse()?).await.unwrap_err();
    assert_eq!(waits.take()[0]["error"], "no, said the test");
    Ok(())
}

/// Keeps what the spans of refreshes follow from, by the names of the spans.
#[derive(Clone, Default)]
struct Follows(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>> Layer<S> for Follows {
    fn on_follows_from(&self, span: &tracing::Id, follows: &tracing::Id, context: Context<'_, S>) {
        let name = |id| context.span(id).map(|span| span.name()).unwrap_or_default();
        self.0.lock().unwrap().push(format!("{} after {}", name(span), name(follows)));
    }
}

#[tokio::test]
async fn the_span_of_a_refresh_follows_from_the_request_that_began_it() -> Outcome {
    use tracing::Instrument;

    let follows = Follows::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(follows.clone()));
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    idaas.prefetch().instrument(tracing::info_span!("request")).await?;
    assert_eq!(*follows.0.lock().unwrap(), ["idaas.refresh after request"]);
    Ok(())
}

/// Uses the same handle at each event, as a subscriber does that exports events over an authorized connection.
#[derive(Clone)]
struct CallsBack(tower_idaas::Idaas, Arc<std::sync::atomic::AtomicUsize>);

impl<S: Subscriber> Layer<S> for CallsBack {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        use std::sync::atomic::Ordering;

        // Its own calls make events, too.
        if event.metadata().target().starts_with("tower_idaas") && self.1.fetch_add(1, Ordering::SeqCst) < 100
        {
            self.0.peek();
            self.0.is_ready();
            drop(tokio_test::task::spawn(self.0.token()).poll());
        }
    }
}

#[test]
fn a_subscriber_that_uses_the_same_handle_locks_nothing_up() -> Outcome {
    let (ends, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let source = ScriptedSource::new();
        let (idaas, clock) = fed_by(&source).unwrap();
        let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let calls_back = CallsBack(idaas.clone(), Arc::clone(&calls));
        let subscriber = tracing_subscriber::registry().with(calls_back);
        tracing::subscriber::with_default(subscriber, || {
            runtime.block_on(async {
                for failing in [false, true, false] {
                    if failing {
                        source.fail_with(Error::new(ErrorKind::Connect, "no route, said the test"));
                    } else {
                        source.recover();
                    }
                    if let Ok(token) = idaas.token().await {
                        idaas.invalidate(&token);
                    }
                    let _ = idaas.token().await;
                    clock.advance(std::time::Duration::from_secs(60));
                    settle().await;
                }
            });
        });
        let _ = ends.send(calls.load(std::sync::atomic::Ordering::SeqCst));
    });
    let calls = ended.recv_timeout(std::time::Duration::from_secs(20));
    assert!(calls.is_ok_and(|calls| calls > 3), "{calls:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_eviction_of_live_tokens_is_one_warning_a_minute_that_names_the_setting() -> Outcome {
    const CAPACITY: usize = 16;
    let lines = Lines::of("tower_idaas::cache");
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let clock = ManualClock::new();
    let builder = Idaas::builder().scope("api://a|read").token_source(ScriptedSource::new());
    let idaas = builder.scope_capacity(CAPACITY).clock(clock.clone()).build()?;
    let scope = |number: usize| format!("api://{number}|read").parse::<Scope>();
    for number in 0..CAPACITY {
        idaas.token_for(&scope(number)?).await?;
    }
    assert!(lines.take().is_empty());
    for number in CAPACITY..CAPACITY + 4 {
        idaas.token_for(&scope(number)?).await?;
    }
    let [evicted] = &lines.take()[..] else { return Err("one line".into()) };
    for (name, value) in
        [("name", "idaas.evicted"), ("level", "WARN"), ("scope", "api://0|read"), ("evicted", "1")]
    {
        assert_eq!(evicted[name], value, "{evicted:?}");
    }
    assert!(evicted["message"].contains("`scope_capacity`"), "{evicted:?}");
    clock.advance(Duration::from_secs(60));
    idaas.token_for(&scope(CAPACITY + 4)?).await?;
    let [evicted] = &lines.take()[..] else { return Err("one line".into()) };
    assert_eq!(evicted["evicted"], "4", "with those of the minute before");
    Ok(())
}
