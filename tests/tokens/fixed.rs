//! A handle with one made-up token, for unit tests of programs that use this library.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_idaas::{Idaas, NoToken, Scope, SubjectToken};

use crate::handles::{Api, Outcome, get};

const URL: &str = "https://api.example.com/";

/// What a future gives at once, without a runtime.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("there is nothing to wait for"),
    }
}

fn made_up() -> Option<HeaderValue> {
    Some(HeaderValue::from_static("Bearer made-up"))
}

#[test]
fn it_is_there_at_once_without_a_runtime_for_every_scope_and_subject() -> Outcome {
    let idaas = Idaas::fixed("made-up")?;
    let scope: Scope = "api://stock|read".parse()?;
    let subject = SubjectToken::access_token("a-users".to_owned());
    for token in [
        at_once(idaas.token())?,
        at_once(idaas.token_for(&scope))?,
        at_once(idaas.exchange(&subject))?,
        idaas.peek().unwrap(),
    ] {
        assert_eq!(token.expose_token(), "made-up");
    }

    let api = Api::default();
    let mut client = idaas.layer().layer(api.clone());
    let mut scoped = get(URL);
    scoped.extensions_mut().insert(scope);
    let mut on_behalf = get(URL);
    on_behalf.extensions_mut().insert(subject);
    let mut none = get(URL);
    none.extensions_mut().insert(NoToken);
    for request in [get(URL), scoped, on_behalf, none] {
        at_once(client.call(request))?;
    }
    assert_eq!(api.take(), [made_up(), made_up(), made_up(), None]);
    Ok(())
}

#[test]
fn a_rejection_does_not_invalidate_it_and_the_replay_has_it_again() -> Outcome {
    let idaas = Idaas::fixed("made-up")?;
    let api = Api::default();
    api.respond_with(StatusCode::UNAUTHORIZED);
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(api.clone());
    assert_eq!(at_once(client.oneshot(get(URL)))?.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.take(), [made_up(), made_up()]);
    idaas.invalidate(&at_once(idaas.token())?);
    assert_eq!(at_once(idaas.token())?.expose_token(), "made-up");
    Ok(())
}

#[test]
fn it_does_not_end_and_is_not_shown() -> Outcome {
    let idaas = Idaas::fixed("made-up")?;
    let two_centuries = Duration::from_secs(200 * 365 * 86_400);
    assert!(at_once(idaas.token())?.expires_at() > SystemTime::UNIX_EPOCH + two_centuries);
    assert!(!format!("{idaas:?}").contains("made-up"));
    assert!(Idaas::fixed("two words").is_err());
    Ok(())
}
