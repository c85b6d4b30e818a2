//! What the log says: one line a fetch, under a name and with fields that stay.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tower_idaas::{Error, ErrorKind};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::{ADVISORY, Mint, Outcome, fed_by, settle};

type Line = BTreeMap<&'static str, String>;

/// Keeps the events of this crate.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl Lines {
    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "tower_idaas::refresh" {
            let mut line = Fields(Line::new());
            event.record(&mut line);
            line.0.insert("name", event.metadata().name().to_owned());
            line.0.insert("level", event.metadata().level().to_string());
            self.0.lock().unwrap().push(line.0);
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
    let mint = Mint::new();
    let (idaas, clock) = fed_by(&mint)?;

    idaas.prefetch().await?;
    let [fetched] = &lines.take()[..] else { return Err("one line".into()) };
    let always = ["attempt", "cause", "client", "elapsed"];
    let of_success = [&always[..], &["expires_in", "level", "message", "method", "name", "outcome", "scope"]];
    assert_eq!(names(fetched), of_success.concat());
    for (name, value) in [
        ("name", "idaas.refresh"),
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

    mint.fail_with(Error::new(ErrorKind::Refused, "no, said the test").with_request_id("req-7"));
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
async fn a_withdrawn_token_is_told_and_what_replaces_it_says_why() -> Outcome {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let (idaas, _clock) = fed_by(&Mint::new())?;
    idaas.invalidate(&idaas.token().await?);
    idaas.token().await?;
    let told: Vec<_> =
        lines.take().iter().map(|line| (line["name"].clone(), line.get("cause").cloned())).collect();
    let expected = [
        ("idaas.refresh", Some("missing")),
        ("idaas.withdrawn", None),
        ("idaas.refresh", Some("invalidated")),
    ];
    assert_eq!(told, expected.map(|(name, cause)| (name.to_owned(), cause.map(str::to_owned))));
    Ok(())
}

/// Of each line: its outcome, level, and whether it tells how long something lives.
fn told(lines: &Lines) -> Vec<(String, String, bool)> {
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
async fn a_source_that_panics_is_told_of_as_any_other_failure() -> Outcome {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let mint = Mint::new();
    let (idaas, _clock) = fed_by(&mint)?;
    mint.panic_from_now_on();
    idaas.token().await.unwrap_err();
    assert_eq!(told(&lines), [line("panicked", "WARN", false)]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_a_withdrawal_made_void_is_not_told_of_as_a_token_that_lives() -> Outcome {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let mint = Mint::new();
    let (idaas, clock) = fed_by(&mint)?;
    let token = idaas.token().await?;
    clock.advance(ADVISORY);
    mint.hold();
    idaas.token().await?;
    mint.wait_for_fetches(2).await;
    idaas.invalidate(&token);
    mint.release();
    idaas.token().await?;
    settle().await;
    assert_eq!(
        told(&lines),
        [line("fetched", "DEBUG", true), line("void", "DEBUG", false), line("fetched", "DEBUG", true)]
    );
    Ok(())
}

#[test]
fn a_fetch_that_is_lost_with_its_runtime_is_told_of_too() -> Outcome {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    tracing::subscriber::with_default(subscriber, || -> Outcome {
        let mint = Mint::new();
        mint.hold();
        let (idaas, _clock) = fed_by(&mint)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = mint.wait_for_fetches(1) => {}
                _ = idaas.token() => {}
            }
        });
        drop(runtime);
        assert_eq!(told(&lines), [line("lost", "DEBUG", false)]);
        Ok(())
    })
}
