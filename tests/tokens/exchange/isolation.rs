//! What one subject token can do to the rest: nothing. And what a token that is no access token is good for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt, service_fn};
use tower_idaas::{
    BoxError, BoxFuture, Error, ErrorKind, Idaas, IdaasBuilder, Scope, SubjectToken, TokenResponse,
    TokenSource,
};

const LIFE: Duration = Duration::from_secs(1200);

/// Exchanges `good…` and refuses the rest.
#[derive(Clone, Debug)]
struct Exchanger {
    exchanges: Arc<AtomicUsize>,
    /// One for each exchange that may go on.
    gate: Arc<Semaphore>,
}

impl Exchanger {
    fn new() -> Self {
        Self { exchanges: Arc::default(), gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) }
    }

    fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::Relaxed)
    }

    fn builder(&self) -> IdaasBuilder {
        Idaas::builder().scope("api://a|read").token_source(self.clone())
    }
}

impl TokenSource for Exchanger {
    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async { Ok(TokenResponse::bearer("own")?.with_expires_in(LIFE)) })
    }

    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async {
            self.exchanges.fetch_add(1, Ordering::Relaxed);
            self.gate.acquire().await.unwrap().forget();
            match subject.expose_token() {
                text if text.starts_with("good") && subject.requested_type().ends_with("id_token") => {
                    let response = TokenResponse::not_access_token(format!("<{text}>"), "urn:id_token")?;
                    Ok(response.with_expires_in(LIFE))
                }
                text if text.starts_with("good") => {
                    Ok(TokenResponse::bearer(&format!("for-{text}"))?.with_expires_in(LIFE))
                }
                _ => Err(Error::new(ErrorKind::Refused, "no, said the test")),
            }
        })
    }
}

fn subject(text: impl Into<String>) -> SubjectToken {
    SubjectToken::access_token(text.into())
}

#[tokio::test]
async fn ten_thousand_bogus_tokens_push_out_no_cached_exchange() -> Result<(), BoxError> {
    let source = Exchanger::new();
    let idaas = source.builder().exchange_capacity(1_000).build()?;
    for user in 0..1_000 {
        idaas.exchange(&subject(format!("good-{user}"))).await?;
    }
    for bogus in 0..10_000 {
        assert!(idaas.exchange(&subject(format!("bogus-{bogus}"))).await.is_err());
    }
    let before = source.exchanges();
    for user in 0..1_000 {
        let token = idaas.exchange(&subject(format!("good-{user}"))).await?;
        assert_eq!(token.expose_token(), format!("for-good-{user}"));
    }
    assert_eq!(source.exchanges(), before);
    Ok(())
}

#[tokio::test]
async fn the_cache_of_exchanges_is_bounded_in_bytes() -> Result<(), BoxError> {
    let source = Exchanger::new();
    let text = |user: usize| format!("good-{user}-{}", "x".repeat(4_096));
    // About 10 KiB each.
    let idaas = source.builder().exchange_capacity_bytes(100 * 1024).build()?;
    for user in 0..50 {
        idaas.exchange(&subject(text(user))).await?;
    }
    for user in 45..50 {
        idaas.exchange(&subject(text(user))).await?;
    }
    assert_eq!(source.exchanges(), 50, "the last ones are cached");
    idaas.exchange(&subject(text(30))).await?;
    assert_eq!(source.exchanges(), 51, "the others made room");
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_blank_or_too_long_is_refused_before_anything_is_sent() -> Result<(), BoxError> {
    let source = Exchanger::new();
    let idaas = source.builder().build()?;
    let long = "x".repeat(SubjectToken::MAX_LENGTH + 1);
    for bad in [
        subject(" "),
        subject(long.clone()),
        subject("good").with_actor(" ".to_owned(), "urn:x"),
        subject("good").with_actor(long, "urn:x"),
    ] {
        let error = idaas.exchange(&bad).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Credential, false), "{error}");
        let client =
            idaas.layer().layer(service_fn(async |_: Request<()>| Ok::<_, BoxError>(Response::new(()))));
        let request = Request::get("https://api.example.com/").extension(bad).body(())?;
        let error = client.oneshot(request).await.unwrap_err();
        assert_eq!(error.downcast_ref::<Error>().map(Error::kind), Some(ErrorKind::Credential));
    }
    assert_eq!(source.exchanges(), 0);
    Ok(())
}

#[tokio::test]
async fn an_exchange_goes_on_without_the_caller_that_began_it() -> Result<(), BoxError> {
    let source = Exchanger { gate: Arc::new(Semaphore::new(0)), ..Exchanger::new() };
    let idaas = source.builder().build()?;
    let caller = {
        let idaas = idaas.clone();
        tokio::spawn(async move { idaas.exchange(&subject("good")).await })
    };
    // Cancelled before its refresh has run, or while it waits.
    tokio::task::yield_now().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    source.gate.add_permits(1);
    let token = idaas.exchange(&subject("good")).await?;
    assert_eq!((token.expose_token(), source.exchanges()), ("for-good", 1));
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_no_access_token_is_handed_out_and_goes_into_no_request() -> Result<(), BoxError> {
    let source = Exchanger::new();
    let idaas = source.builder().build()?;
    let requested = subject("good").with_requested_type("urn:ietf:params:oauth:token-type:id_token");
    let token = idaas.exchange(&requested).await?;
    assert_eq!((token.expose_token(), token.issued_token_type()), ("<good>", Some("urn:id_token")));
    let error = token.expose_authorization().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("urn:id_token") && !error.to_string().contains("<good>"), "{error}");

    let sent = Arc::new(AtomicUsize::new(0));
    let inner = {
        let sent = Arc::clone(&sent);
        service_fn(move |_: Request<()>| {
            sent.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok::<_, BoxError>(Response::new(())))
        })
    };
    let client = idaas.layer().layer(inner);
    // Cached and not cached yet.
    for requested in
        [requested, subject("good-2").with_requested_type("urn:ietf:params:oauth:token-type:id_token")]
    {
        let request = Request::get("https://api.example.com/").extension(requested).body(())?;
        let error = client.clone().oneshot(request).await.unwrap_err();
        assert_eq!(error.downcast_ref::<Error>().map(Error::kind), Some(ErrorKind::Unsupported), "{error}");
    }
    assert_eq!(sent.load(Ordering::Relaxed), 0);
    Ok(())
}
