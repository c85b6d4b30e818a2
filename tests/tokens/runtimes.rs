//! One handle, many runtimes, or none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use http::HeaderValue;
use tokio::runtime::{Builder, Runtime};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, ServiceExt};
use tower_idaas::clock::{Clock, ManualClock};
use tower_idaas::{BoxFuture, Error, ErrorKind, Idaas, Scope, TokenResponse, TokenSource};
use tower_idaas_testing::{Behaviour, TestIdaas};

use crate::handles::{
    ADVISORY, Api, LIFE, MANDATORY, Outcome, ScriptedSource, client_of, fed_by, get, text, unavailable,
};

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// An issuer on a runtime of its own, and a handle that belongs to none.
fn issuer_apart() -> Result<(Runtime, TestIdaas, Idaas, ManualClock), tower_idaas::BoxError> {
    let home = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let clock = ManualClock::new();
    let issuer = home.block_on(TestIdaas::builder().clock(clock.clone()).token_life(LIFE).start())?;
    let idaas = client_of(&issuer).clock(clock.clone()).build()?;
    Ok((home, issuer, idaas, clock))
}

#[test]
fn two_runtimes_share_a_handle_in_any_order() -> Outcome {
    let (_home, issuer, idaas, clock) = issuer_apart()?;
    let (one, other) = (runtime()?, runtime()?);
    for (turn, runtime) in [&one, &other, &one, &one, &other].into_iter().enumerate() {
        runtime.block_on(idaas.prefetch())?;
        assert_eq!(issuer.token_requests(), turn + 1);
        clock.advance(LIFE);
    }
    Ok(())
}

#[test]
fn a_handle_outlives_the_runtime_whose_connections_it_used() -> Outcome {
    let (_home, issuer, idaas, clock) = issuer_apart()?;
    for turn in 1..=3 {
        let runtime = runtime()?;
        runtime.block_on(idaas.prefetch())?;
        assert_eq!(issuer.token_requests(), turn);
        drop(runtime);
        clock.advance(LIFE);
    }
    Ok(())
}

#[test]
fn a_runtime_dropped_in_the_middle_of_a_refresh_leaves_the_next_one_to_start_another() -> Outcome {
    let (home, issuer, idaas, _clock) = issuer_apart()?;
    issuer.set_behaviour(Behaviour::Hold);
    let first = runtime()?;
    first.block_on(async {
        assert_pending!(task::spawn(idaas.token()).poll());
        issuer.wait_for_held(1).await;
    });
    // A waiter on another runtime waits for it, too.
    let waiter = std::thread::spawn({
        let (idaas, second) = (idaas.clone(), runtime()?);
        let (waits, waiting) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            second.block_on(async {
                let mut caller = task::spawn(idaas.token());
                assert_pending!(caller.poll());
                let _ = waits.send(());
                text(caller.await)
            })
        });
        waiting.recv()?;
        || thread.join()
    });
    drop(first);
    home.block_on(issuer.wait_for_requests(2));
    issuer.release();
    let token = waiter.join().map_err(|_| "panicked")?.map_err(|_| "panicked")??;
    assert_eq!(idaas.peek().map(|token| token.expose_token().to_owned()), Some(token));
    assert_eq!(issuer.token_requests(), 2);
    Ok(())
}

#[test]
fn a_renewal_lost_with_its_runtime_is_made_up_for_by_the_next_request() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let first = runtime()?;
    first.block_on(async {
        idaas.prefetch().await?;
        clock.advance(ADVISORY);
        source.hold();
        idaas.token().await?;
        source.wait_for_fetches(2).await;
        Ok::<_, tower_idaas::Error>(())
    })?;
    drop(first);
    source.release();
    runtime()?.block_on(async {
        assert_eq!(text(idaas.token().await)?, "token-1");
        source.wait_for_fetches(3).await;
        assert_eq!(text(idaas.token().await)?, "token-3");
        Ok(())
    })
}

#[test]
fn outside_a_runtime_a_fetch_is_an_error_and_a_live_token_is_served() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let client = idaas.layer().layer(Api::default());
    let error = assert_ready!(task::spawn(idaas.token()).poll()).unwrap_err();
    assert_eq!((error.kind(), source.fetches()), (ErrorKind::Runtime, 0));
    let request = get("https://api.example.com/");
    assert!(assert_ready!(task::spawn(client.clone().oneshot(request)).poll()).is_err());

    runtime()?.block_on(idaas.prefetch())?;
    for age in [Duration::ZERO, ADVISORY, MANDATORY - ADVISORY] {
        clock.advance(age);
        assert_eq!(text(assert_ready!(task::spawn(idaas.token()).poll()))?, "token-1");
        let request = get("https://api.example.com/");
        assert_ready!(task::spawn(client.clone().oneshot(request)).poll())?;
    }
    assert_eq!(source.fetches(), 1);
    Ok(())
}

#[test]
fn a_request_with_a_time_limit_needs_no_timers_while_a_token_is_live() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    runtime()?.block_on(idaas.prefetch())?;
    let bare = Builder::new_current_thread().build()?;
    let limited = || {
        let mut request = get("https://api.example.com/");
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("1S"));
        request
    };
    for age in [Duration::ZERO, ADVISORY, MANDATORY - ADVISORY] {
        clock.advance(age);
        let client = idaas.layer().layer(Api::default());
        assert_ready!(task::spawn(client.clone().oneshot(limited())).poll())?;
        bare.block_on(client.oneshot(limited()))?;
        let mut request = limited();
        assert!(assert_ready!(task::spawn(idaas.layer().authorize(&mut request)).poll())?.has_token());
        let mut request = limited();
        assert!(bare.block_on(idaas.layer().authorize(&mut request))?.has_token());
    }
    clock.advance(LIFE);
    let mut request = limited();
    let error = bare.block_on(idaas.layer().authorize(&mut request)).unwrap_err();
    assert_eq!((error.kind(), source.fetches()), (ErrorKind::Runtime, 1));
    Ok(())
}

#[test]
fn a_runtime_that_is_shut_down_makes_an_error_and_no_endless_loop() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let gone = runtime()?;
    let handle = gone.handle().clone();
    drop(gone);
    let (ends, ended) = mpsc::channel();
    std::thread::spawn({
        let idaas = idaas.clone();
        move || {
            let _entered = handle.enter();
            let _ = ends.send(task::spawn(idaas.token()).poll().map(text));
        }
    });
    let polled = ended.recv_timeout(Duration::from_secs(10))?;
    assert_eq!(assert_ready!(polled).unwrap_err().kind(), ErrorKind::Runtime);
    runtime()?.block_on(idaas.prefetch())?;
    Ok(())
}

#[test]
fn a_handle_is_dropped_outside_a_runtime_in_silence() -> Outcome {
    let (home, issuer, idaas, _clock) = issuer_apart()?;
    let client = idaas.layer().layer(Api::default());
    let runtime = runtime()?;
    runtime.block_on(idaas.prefetch())?;
    // Once before its runtime and once after.
    let again = client_of(&issuer).build()?;
    runtime.block_on(again.prefetch())?;
    drop(again);
    drop(runtime);
    drop((client, idaas));
    drop(home);
    drop(issuer);
    Ok(())
}

#[test]
fn runtimes_with_many_threads_share_one_refresh() -> Outcome {
    let (home, issuer, idaas, _clock) = issuer_apart()?;
    issuer.set_behaviour(Behaviour::Hold);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let idaas = idaas.clone();
            std::thread::spawn(move || runtime()?.block_on(async { Ok(text(idaas.token().await)?) }))
        })
        .collect();
    home.block_on(issuer.wait_for_held(1));
    issuer.release();
    for thread in threads {
        let outcome: Result<String, tower_idaas::BoxError> = thread.join().map_err(|_| "panicked")?;
        outcome?;
    }
    assert_eq!(issuer.token_requests(), 1);
    Ok(())
}

#[test]
fn a_probe_on_a_runtime_that_is_not_driven_holds_up_scopes_that_failed_for_no_longer_than_an_attempt()
-> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let (undriven, other) =
        (runtime()?, Builder::new_current_thread().enable_all().start_paused(true).build()?);
    source.fail_with(unavailable());
    let (scope, healthy) = ("api://b|read".parse()?, "api://c|read".parse()?);
    undriven.block_on(async { idaas.token().await.unwrap_err() });
    other.block_on(async { idaas.token_for(&scope).await.unwrap_err() });
    clock.advance(Duration::from_secs(2));
    source.recover();
    source.hold();
    let fetches = source.fetches();
    // It probes, for all scopes that have failed.
    undriven.block_on(async {
        assert_pending!(task::spawn(idaas.token()).poll());
        source.wait_for_fetches(fetches + 1).await;
    });
    source.release();
    other.block_on(async {
        assert_eq!(idaas.token_for(&scope).await.unwrap_err().kind(), ErrorKind::Timeout);
        clock.advance(Duration::from_secs(60));
        // The refresh that was queued all the time may ask as well.
        let tokens = [2, 3].map(|further| format!("token-{}", fetches + further));
        assert!(tokens.contains(&text(idaas.token_for(&scope).await)?));
        assert!(idaas.token_for(&healthy).await.is_ok());
        Ok(())
    })
}

/// Takes 300 ms, on the runtime of the refresh.
#[derive(Debug, Default)]
struct Slow(Arc<AtomicUsize>);

impl TokenSource for Slow {
    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(TokenResponse::bearer(&format!("token-{number}"))?.with_expires_in(LIFE))
        })
    }
}

#[test]
fn a_refresh_whose_runtime_is_not_driven_is_replaced_by_a_waiter_on_another_and_its_result_is_void() -> Outcome
{
    let idaas = Idaas::builder().scope("api://a|read").token_source(Slow::default()).build()?;
    let (idle, other) = (runtime()?, runtime()?);
    let hasty = async { tokio::time::timeout(Duration::from_millis(100), idaas.token()).await };
    assert!(idle.block_on(hasty).is_err());
    let sent = Clock::System.now();
    let token = other.block_on(async {
        // All of its waiters replace it once.
        let callers: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let idaas = idaas.clone();
                    async move { text(idaas.token().await) }
                })
            })
            .collect();
        let mut tokens = Vec::new();
        for caller in callers {
            tokens.push(caller.await??);
        }
        tokens.dedup();
        Ok::<_, tower_idaas::BoxError>(tokens)
    })?;
    assert_eq!(token, ["token-2"]);
    let took = Clock::System.now().since(sent);
    assert!(took < Duration::from_secs(2), "{took:?}");
    // The first runtime goes on.
    idle.block_on(async { tokio::time::sleep(Duration::from_millis(600)).await });
    assert_eq!(idle.block_on(async { text(idaas.token().await) })?, "token-2");
    Ok(())
}

#[test]
fn a_slow_refresh_on_a_driven_runtime_is_not_replaced() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    source.hold();
    let (home, other) = (Builder::new_multi_thread().worker_threads(1).enable_all().build()?, runtime()?);
    let first = home.spawn({
        let idaas = idaas.clone();
        async move { text(idaas.token().await) }
    });
    home.block_on(source.wait_for_fetches(1));
    let second = other.block_on(async {
        let waiting = tokio::time::timeout(Duration::from_millis(2_000), idaas.token()).await;
        assert!(waiting.is_err(), "the source has not responded yet");
        source.release();
        text(idaas.token().await)
    })?;
    assert_eq!((home.block_on(first)??, source.fetches()), (second, 1));
    Ok(())
}

#[test]
fn a_runtime_without_timers_makes_an_error_and_a_live_token_is_served_there() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let bare = Builder::new_current_thread().build()?;
    let error = bare.block_on(idaas.token()).unwrap_err();
    assert_eq!((error.kind(), source.fetches()), (ErrorKind::Runtime, 0));
    assert!(error.to_string().contains("enable_all"), "{error}");
    assert!(bare.block_on(async { idaas.keep_fresh() }).is_err());
    runtime()?.block_on(idaas.prefetch())?;
    assert_eq!(text(bare.block_on(idaas.token()))?, "token-1");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_because_time_is_paused_says_so() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    source.hold();
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("tokio::time::pause"), "{error}");
    Ok(())
}

#[test]
fn a_runtime_without_timers_is_probed_by_one_panic_however_many_requests_come() -> Outcome {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let (this, before) = (std::thread::current().id(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        let is_here = std::thread::current().id() == this;
        PANICS.fetch_add(usize::from(is_here), Ordering::SeqCst);
        before(info);
    }));
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let bare = [Builder::new_current_thread().build()?, Builder::new_current_thread().build()?];
    for _ in 0..5 {
        for runtime in &bare {
            let error = runtime.block_on(idaas.token()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Runtime);
            assert!(runtime.block_on(async { idaas.keep_fresh() }).is_err());
        }
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), bare.len());
    Ok(())
}

#[test]
fn a_refresh_whose_runtime_is_dropped_by_an_unrelated_panic_is_replaced_and_not_failed() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    source.hold();
    let thread = std::thread::spawn({
        let (idaas, source, home) = (idaas.clone(), source.clone(), runtime()?);
        move || {
            home.block_on(async {
                assert_pending!(task::spawn(idaas.token()).poll());
                source.wait_for_fetches(1).await;
            });
            std::panic::panic_any("a panic that the test asked for");
        }
    });
    assert!(thread.join().is_err());
    source.release();
    assert_eq!(runtime()?.block_on(async { text(idaas.token().await) })?, "token-2");
    Ok(())
}
