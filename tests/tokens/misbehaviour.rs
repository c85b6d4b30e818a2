//! Sources and authenticators of the user's that panic, hang, or leave.

#![allow(clippy::panic)] // asked for

use tokio::runtime::Handle;
use tokio_test::{assert_pending, assert_ready, task};
use tower_idaas::authn::{Authenticator, TokenRequest};
use tower_idaas::{BoxFuture, Error, ErrorKind};
use tower_idaas_testing::TestIdaas;

use crate::handles::{ADVISORY, Outcome, ScriptedSource, client_of, fed_by, seconds, settle, text};

#[tokio::test]
async fn a_source_that_panics_is_an_error_for_all_who_waited() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    source.panic_from_now_on();
    let mut callers: Vec<_> = (0..10).map(|_| task::spawn(idaas.token())).collect();
    for caller in &mut callers {
        assert_pending!(caller.poll());
    }
    for caller in callers {
        let error = caller.await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Runtime, false));
    }
    assert_eq!(source.fetches(), 1);
    source.recover();
    clock.advance(seconds(5));
    assert_eq!(text(idaas.token().await)?, "token-2");
    Ok(())
}

#[tokio::test]
async fn a_source_that_panics_behind_a_live_token_disturbs_no_request() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    idaas.prefetch().await?;
    clock.advance(ADVISORY);
    source.panic_from_now_on();
    for _ in 0..10 {
        assert_eq!(text(assert_ready!(task::spawn(idaas.token()).poll()))?, "token-1");
        settle().await;
    }
    assert_eq!(source.fetches(), 2);
    Ok(())
}

#[derive(Debug)]
struct Panics;

impl Authenticator for Panics {
    fn authenticate<'a>(&'a self, _: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        panic!("a panic that the test asked for");
    }
}

#[tokio::test]
async fn an_authenticator_that_panics_is_an_error() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let idaas = client_of(&issuer).authenticator(Panics).build()?;
    assert_eq!(idaas.token().await.unwrap_err().kind(), ErrorKind::Runtime);
    assert_eq!(issuer.token_requests(), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_responds_is_an_error_and_leaves_no_task_behind() -> Outcome {
    let tasks = Handle::current().metrics().num_alive_tasks();
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    source.hold();
    assert_eq!(idaas.token().await.unwrap_err().kind(), ErrorKind::Timeout);
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    assert_eq!(source.fetches(), 1);
    Ok(())
}

#[tokio::test]
async fn no_task_is_left_when_nothing_is_fetched() -> Outcome {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let _layer = idaas.layer();
    assert_eq!(tasks(), before, "building starts nothing");
    for age in [ADVISORY, ADVISORY, 2 * ADVISORY] {
        idaas.token().await?;
        settle().await;
        assert_eq!(tasks(), before);
        clock.advance(age);
    }
    Ok(())
}
