//! Over reqwest: the layer around `reqwest::Client`, and `send` for those who use it without Tower.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::Full;
use reqwest::{Body, Client, Request};
use tokio::net::{TcpListener, TcpSocket};
use tower::filter::FilterLayer;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_idaas::{BoxError, Error, ErrorKind, Idaas, IdaasLayer, NoToken, Scope, SendError, SubjectToken};
use tower_idaas_testing::{ApiRefusal, Behaviour, ProtectedApi, TestIdaas};

type Outcome = Result<(), BoxError>;

/// An issuer, an API that its tokens open, and a handle.
async fn protected() -> Result<(TestIdaas, ProtectedApi, Idaas), BoxError> {
    let issuer = TestIdaas::builder().scope("api://orders|read").scope("api://stock|read").start().await?;
    let api = issuer.api("api://orders").permission("read").plain_http().start().await?;
    let idaas = crate::support::builder(&issuer).build()?;
    Ok((issuer, api, idaas))
}

/// A client whose connections go to this machine directly, whatever the proxy variables say.
fn http() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// A foreign server, which notes what it is sent and responds to all requests alike.
struct Stranger {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// The `Authorization` and the body of a request.
type Seen = (Option<String>, String);

impl Stranger {
    async fn responding(status: StatusCode, location: &str) -> Result<Self, BoxError> {
        let headers = HeaderMap::from_iter([(LOCATION, location.parse()?)]);
        Self::responding_with(status, headers).await
    }

    /// Challenges each request with these lines.
    async fn challenging(lines: &[&'static str]) -> Result<Self, BoxError> {
        let lines = lines.iter().map(|line| (WWW_AUTHENTICATE, HeaderValue::from_static(line)));
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, line)| _ = headers.append(name, line));
        Self::responding_with(StatusCode::UNAUTHORIZED, headers).await
    }

    async fn responding_with(status: StatusCode, headers: HeaderMap) -> Result<Self, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let answer = (status, headers);
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let note = |State(seen): State<Arc<Mutex<Vec<_>>>>, headers: HeaderMap, body: String| async move {
            let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
            seen.lock().unwrap().push((authorization, body));
            answer.into_response()
        };
        let router = Router::new().fallback(note).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, seen })
    }

    fn origin(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// What came, in order, and forgets it.
    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn authorizations(&self) -> Vec<Option<String>> {
        self.take().into_iter().map(|(authorization, _)| authorization).collect()
    }
}

async fn bearer(idaas: &Idaas) -> Result<Option<String>, Error> {
    Ok(Some(format!("Bearer {}", idaas.token().await?.expose_token())))
}

fn get(url: &str) -> Request {
    http().get(url).build().unwrap()
}

/// Through Tower and without it: what holds for one holds for the other.
async fn both_ways(layer: &IdaasLayer, url: &str) -> [Result<reqwest::Response, BoxError>; 2] {
    let through_tower = layer.layer(http()).oneshot(get(url)).await;
    [through_tower, layer.send(http().get(url)).await.map_err(Into::into)]
}

/// The kind of our error, in a box or in a [`SendError`].
fn kind(error: &BoxError) -> Option<ErrorKind> {
    match error.downcast_ref() {
        Some(SendError::Token(error)) => Some(error.kind()),
        _ => error.downcast_ref().map(Error::kind),
    }
}

#[tokio::test]
async fn requests_leave_with_one_token_through_tower_and_without_it() -> Outcome {
    let (issuer, api, idaas) = protected().await?;
    let client = http();
    for response in both_ways(&idaas.layer(), api.url()).await {
        assert_eq!(response?.status(), StatusCode::OK);
    }
    assert_eq!(idaas.send(client.get(api.url())).await?.status(), StatusCode::OK);
    assert_eq!((api.accepted(), issuer.token_requests()), (3, 1));
    Ok(())
}

#[tokio::test]
async fn a_rejected_request_is_sent_once_more_with_the_next_token() -> Outcome {
    let (issuer, api, idaas) = protected().await?;
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(http());
    idaas.prefetch().await?;
    api.revoke_all_issued_before_now();
    assert_eq!(client.oneshot(get(api.url())).await?.status(), StatusCode::OK);
    assert_eq!((api.refused(ApiRefusal::Revoked), api.accepted(), issuer.tokens_issued()), (1, 1, 2));
    Ok(())
}

#[tokio::test]
async fn send_replays_by_itself() -> Outcome {
    let (issuer, api, idaas) = protected().await?;
    idaas.prefetch().await?;
    api.revoke_all_issued_before_now();
    assert_eq!(idaas.send(http().post(api.url()).body("tea")).await?.status(), StatusCode::OK);
    assert_eq!((api.refused(ApiRefusal::Revoked), api.accepted(), issuer.tokens_issued()), (1, 1, 2));
    Ok(())
}

#[tokio::test]
async fn a_second_rejection_is_the_callers_and_the_replay_was_whole() -> Outcome {
    let (_issuer, _api, idaas) = protected().await?;
    let grumpy = Stranger::responding(StatusCode::UNAUTHORIZED, "").await?;
    let first = bearer(&idaas).await?;
    let response = idaas.send(http().post(&grumpy.url).body("tea")).await?;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let seen = grumpy.take();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], (first.clone(), "tea".to_owned()));
    assert!(seen[1].0.is_some() && seen[1].0 != first);
    assert_eq!(seen[1].1, "tea");
    Ok(())
}

#[tokio::test]
async fn a_stream_is_sent_once_and_its_rejected_token_is_invalidated_all_the_same() -> Outcome {
    let (_issuer, _api, idaas) = protected().await?;
    let grumpy = Stranger::responding(StatusCode::UNAUTHORIZED, "").await?;
    let stream = || http().post(&grumpy.url).body(Body::wrap(Full::<bytes::Bytes>::from("tea")));
    let response = idaas.send(stream()).await?;
    assert_eq!((response.status(), grumpy.take().len()), (StatusCode::UNAUTHORIZED, 1));
    assert!(idaas.peek().is_none());

    let (_issuer, _api, idaas) = protected().await?;
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(http());
    let response = client.oneshot(stream().build()?).await?;
    assert_eq!((response.status(), grumpy.take().len()), (StatusCode::UNAUTHORIZED, 1));
    assert!(idaas.peek().is_none());
    Ok(())
}

#[tokio::test]
async fn no_token_follows_a_redirect_to_another_origin() -> Outcome {
    let (_issuer, _api, idaas) = protected().await?;
    for status in [StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT] {
        let hostile = Stranger::responding(StatusCode::OK, "").await?;
        let api = Stranger::responding(status, &hostile.url).await?;
        for response in both_ways(&idaas.layer(), &api.url).await {
            assert_eq!(response?.status(), StatusCode::OK);
        }
        let token = bearer(&idaas).await?;
        assert_eq!(api.authorizations(), [token.clone(), token]);
        assert_eq!(hostile.authorizations(), [None, None]);
    }
    Ok(())
}

#[tokio::test]
async fn a_401_from_where_a_redirect_led_says_nothing_about_the_token() -> Outcome {
    let (_issuer, _api, idaas) = protected().await?;
    let hostile = Stranger::responding(StatusCode::UNAUTHORIZED, "").await?;
    let api = Stranger::responding(StatusCode::TEMPORARY_REDIRECT, &hostile.url).await?;
    for response in both_ways(&idaas.layer(), &api.url).await {
        assert_eq!(response?.status(), StatusCode::UNAUTHORIZED);
    }
    // Nothing is replayed, and nothing invalidated for a request that becomes reqwest's inside the layer.
    let layer = idaas.layer();
    let replaying =
        ServiceBuilder::new().retry(tower_idaas::RetryUnauthorized::new()).layer(&layer).service(http());
    assert_eq!(replaying.oneshot(get(&api.url)).await?.status(), StatusCode::UNAUTHORIZED);
    let inside = FilterLayer::new(|request: http::Request<Body>| Request::try_from(request));
    let converting = ServiceBuilder::new().layer(&layer).layer(inside).service(http());
    let request = http::Request::get(&api.url).body(Body::default())?;
    assert_eq!(converting.oneshot(request).await?.status(), StatusCode::UNAUTHORIZED);
    assert_eq!((api.take().len(), hostile.authorizations()), (4, vec![None; 4]));
    assert!(idaas.peek().is_some());
    Ok(())
}

#[tokio::test]
async fn a_token_goes_where_it_may_and_nowhere_else() -> Outcome {
    let (_issuer, _api, idaas) = protected().await?;
    let known = Stranger::responding(StatusCode::OK, "").await?;
    let other = Stranger::responding(StatusCode::OK, "").await?;
    let listed = idaas.layer().allow_origins([known.origin()])?;
    // The name of the host is not resolved: if it were, the error would be another.
    for (layer, url) in [
        (idaas.layer(), "http://api.example.invalid/"),
        (idaas.layer(), "http://127.0.0.1.example.invalid/"),
        (listed.clone(), "https://api.example.invalid/"),
        (listed.clone(), other.url.as_str()),
    ] {
        for response in both_ways(&layer, url).await {
            assert_eq!(kind(&response.unwrap_err()), Some(ErrorKind::Destination), "{url}");
        }
    }
    assert!(other.take().is_empty());
    let lenient = listed.without_token_elsewhere();
    for response in both_ways(&lenient, &other.url).await {
        assert_eq!(response?.status(), StatusCode::OK);
    }
    assert_eq!(other.authorizations(), [None, None]);
    for response in both_ways(&lenient, &known.url).await {
        response?;
    }
    let token = bearer(&idaas).await?;
    assert_eq!(known.authorizations(), [token.clone(), token]);
    Ok(())
}

#[tokio::test]
async fn a_header_on_the_request_stays_and_one_of_the_clients_gives_way() -> Outcome {
    let (issuer, _api, idaas) = protected().await?;
    let api = Stranger::responding(StatusCode::UNAUTHORIZED, "").await?;
    idaas.send(http().get(&api.url).bearer_auth("the-callers-own")).await?;
    // The user information of a URL is a header by the time it gets here.
    idaas.send(http().get(api.url.replace("://", "://user:word@"))).await?;
    let own = idaas.layer().layer(http()).oneshot(http().get(&api.url).bearer_auth("own").build()?).await?;
    assert_eq!(own.status(), StatusCode::UNAUTHORIZED);
    let texts = ["Bearer the-callers-own", "Basic dXNlcjp3b3Jk", "Bearer own"];
    assert_eq!(api.authorizations(), texts.map(|text| Some(text.to_owned())));
    assert_eq!(issuer.token_requests(), 0);

    let good = Stranger::responding(StatusCode::OK, "").await?;
    let mut defaults = HeaderMap::new();
    defaults.insert(AUTHORIZATION, HeaderValue::from_static("Bearer by-default"));
    let client = Client::builder().no_proxy().default_headers(defaults).build()?;
    idaas.send(client.get(&good.url)).await?;
    assert_eq!(good.authorizations(), [bearer(&idaas).await?]);
    Ok(())
}

#[tokio::test]
async fn a_layers_scope_is_requested_and_extensions_count_on_requests_made_inside() -> Outcome {
    let (issuer, _orders, idaas) = protected().await?;
    let stock = issuer.api("api://stock").permission("read").plain_http().start().await?;
    let scope: Scope = "api://stock|read".parse()?;
    for response in both_ways(&idaas.layer().scope(&scope), stock.url()).await {
        assert_eq!(response?.status(), StatusCode::OK);
    }

    let client = ServiceBuilder::new()
        .layer(idaas.layer())
        .layer(FilterLayer::new(|request: http::Request<Body>| Request::try_from(request)))
        .service(http());
    let mut scoped = http::Request::get(stock.url()).body(Body::default())?;
    scoped.extensions_mut().insert(scope);
    assert_eq!(client.clone().oneshot(scoped).await?.status(), StatusCode::OK);
    let mut none = http::Request::get(stock.url()).body(Body::default())?;
    none.extensions_mut().insert(NoToken);
    assert_eq!(client.oneshot(none).await?.status(), StatusCode::UNAUTHORIZED);
    assert_eq!((stock.accepted(), stock.refused(ApiRefusal::NoToken)), (3, 1));
    assert_eq!(issuer.tokens_issued(), 1);
    Ok(())
}

#[tokio::test]
async fn a_request_on_behalf_of_a_caller_leaves_with_an_exchanged_token() -> Outcome {
    let (issuer, orders, idaas) = protected().await?;
    let user = issuer.user_token("alice", &"api://shop|read".parse()?)?;
    let subject = SubjectToken::access_token(user);
    let response = idaas.layer().send_on_behalf_of(&subject, http().get(orders.url())).await?;
    let seen: serde_json::Value = serde_json::from_slice(&response.bytes().await?)?;
    assert_eq!(seen["sub"], "alice");
    Ok(())
}

#[tokio::test]
async fn an_error_is_ours_or_reqwests_and_shows_no_token() -> Outcome {
    let (issuer, _api, idaas) = protected().await?;
    let token = bearer(&idaas).await?.unwrap();
    // Bound and not listening: no other process gets the port, and it refuses connections.
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let nowhere = format!("http://{}/", socket.local_addr()?);
    let error = idaas.send(http().get(&nowhere)).await.unwrap_err();
    assert!(matches!(&error, SendError::Http(error) if error.is_connect()), "{error:?}");
    assert!(
        !format!("{error:?} {}", crate::support::chain(&error)).contains(token.trim_start_matches("Bearer "))
    );

    let error = idaas.send(http().get("not a URL")).await.unwrap_err();
    assert!(matches!(&error, SendError::Http(error) if error.is_builder()), "{error:?}");

    issuer.set_secret("another");
    idaas.invalidate(&idaas.token().await?);
    let error = idaas.send(http().get(&nowhere)).await.unwrap_err();
    assert!(matches!(&error, SendError::Token(error) if error.kind() == ErrorKind::Refused), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_401_that_does_not_mean_the_token_costs_no_token_and_is_not_replayed() -> Outcome {
    let (issuer, _api, idaas) = protected().await?;
    idaas.prefetch().await?;
    for lines in [
        &["Bearer error=\"insufficient_scope\", scope=\"orders\""][..],
        &["Basic realm=\"a, Bearer error=invalid_token\"", "BEARER realm=\"b\" , Error = insufficient_scope"],
        &["Negotiate, Bearer error=\"invalid_request\""],
    ] {
        let api = Stranger::challenging(lines).await?;
        for response in both_ways(&idaas.layer(), &api.url).await {
            assert_eq!(response?.status(), StatusCode::UNAUTHORIZED);
        }
        let client = ServiceBuilder::new()
            .retry(tower_idaas::RetryUnauthorized::new())
            .layer(idaas.layer())
            .service(http());
        assert_eq!(client.oneshot(get(&api.url)).await?.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(api.take().len(), 3, "{lines:?}");
    }
    assert!(idaas.peek().is_some());
    assert_eq!(issuer.token_requests(), 1);
    Ok(())
}

#[tokio::test]
async fn where_new_tokens_go_on_being_rejected_nothing_waits_and_nothing_is_replayed() -> Outcome {
    let (issuer, api, idaas) = protected().await?;
    idaas.prefetch().await?;
    let grumpy = Stranger::responding(StatusCode::UNAUTHORIZED, "").await?;
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(http());
    let start = tokio::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(idaas.send(http().get(&grumpy.url)).await?.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(client.clone().oneshot(get(&grumpy.url)).await?.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(idaas.send(http().get(api.url())).await?.status(), StatusCode::OK);
    }
    // One replay, for the first rejection; another where a second has passed by then.
    assert!(grumpy.take().len() <= 12);
    assert!(issuer.token_requests() <= 4, "{}", issuer.token_requests());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_401_that_means_the_token_is_replayed_with_another() -> Outcome {
    for lines in [
        &["Bearer error=\"invalid_token\""][..],
        &["bearer realm=\"a\""],
        &["Basic realm=\"a\"", "Bearer realm=\"b\", error=invalid_token"],
        &["Bearer error=\"insufficient_scope\", Bearer error=\"invalid_token\""],
    ] {
        let (_issuer, _api, idaas) = protected().await?;
        let api = Stranger::challenging(lines).await?;
        assert_eq!(idaas.send(http().get(&api.url)).await?.status(), StatusCode::UNAUTHORIZED);
        let seen = api.authorizations();
        assert_eq!(seen.len(), 2, "{lines:?}");
        assert_ne!(seen[0], seen[1]);
    }
    Ok(())
}

#[tokio::test]
async fn a_classifier_says_which_responses_reject_the_token() -> Outcome {
    let (issuer, _api, idaas) = protected().await?;
    let layer = idaas.layer().rejection_classifier(|status, headers| {
        status == StatusCode::FORBIDDEN && headers.get("x-error").is_some_and(|code| code == "TokenExpired")
    });
    let said = HeaderMap::from_iter([(http::HeaderName::from_static("x-error"), "TokenExpired".parse()?)]);
    let api = Stranger::responding_with(StatusCode::FORBIDDEN, said).await?;
    assert_eq!(layer.send(http().get(&api.url)).await?.status(), StatusCode::FORBIDDEN);
    assert_eq!((api.take().len(), issuer.token_requests()), (2, 2));
    for other in [Stranger::challenging(&[]).await?, Stranger::responding(StatusCode::FORBIDDEN, "").await?] {
        for response in both_ways(&layer, &other.url).await {
            response?;
        }
        assert_eq!(other.take().len(), 2);
    }
    assert!(issuer.token_requests() <= 3);
    Ok(())
}

#[tokio::test]
async fn a_requests_own_time_limit_bounds_the_wait_for_a_token() -> Outcome {
    let (issuer, api, idaas) = protected().await?;
    issuer.set_behaviour(Behaviour::Hold);
    let limited = || http().get(api.url()).timeout(Duration::from_millis(200));
    let start = tokio::time::Instant::now();
    let error = idaas.send(limited()).await.unwrap_err();
    assert!(matches!(&error, SendError::Token(error) if error.kind() == ErrorKind::Timeout), "{error:?}");
    let error = idaas.layer().layer(http()).oneshot(limited().build()?).await.unwrap_err();
    assert_eq!(kind(&error), Some(ErrorKind::Timeout), "{error:?}");
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(400) && elapsed < Duration::from_secs(3), "{elapsed:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_token_takes_of_a_requests_time_limit_is_gone_for_the_request() -> Outcome {
    let (issuer, _api, idaas) = protected().await?;
    issuer.set_behaviour(Behaviour::Slow(Duration::from_millis(400)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let silent = format!("http://{}/", listener.local_addr()?);
    let start = tokio::time::Instant::now();
    let error = idaas.send(http().get(&silent).timeout(Duration::from_millis(800))).await.unwrap_err();
    assert!(matches!(&error, SendError::Http(error) if error.is_timeout()), "{error:?}");
    // With a limit of its own, the request would have had 1.2 s.
    assert!(start.elapsed() < Duration::from_millis(1_150), "{:?}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn authorize_serves_a_client_that_is_no_tower_service() -> Outcome {
    let (issuer, api, idaas) = protected().await?;
    let layer = idaas.layer();
    let uri: http::Uri = api.url().parse()?;
    for revoked in [false, true] {
        if revoked {
            api.revoke_all_issued_before_now();
        }
        let mut headers = HeaderMap::new();
        let authorized = layer.authorize(&mut (&uri, &mut headers)).await?;
        assert!(authorized.has_token());
        let response = http().get(api.url()).headers(headers).send().await?;
        assert_eq!(authorized.report(response.status(), response.headers()), revoked);
    }
    assert!(idaas.peek().is_none());
    assert_eq!(issuer.token_requests(), 1);

    let elsewhere = http::Uri::from_static("http://api.example.invalid/");
    let error = layer.authorize(&mut (&elsewhere, &mut HeaderMap::new())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Destination);
    let lenient = layer.clone().without_token_elsewhere();
    let mut headers = HeaderMap::new();
    assert!(!lenient.authorize(&mut (&elsewhere, &mut headers)).await?.has_token());
    assert!(headers.is_empty());
    let (mut parts, ()) = http::Request::get(&uri).extension(NoToken).body(())?.into_parts();
    assert!(!layer.authorize(&mut parts).await?.has_token());
    parts.extensions.clear();
    parts.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer own"));
    assert!(!layer.authorize(&mut parts).await?.has_token());
    assert_eq!(parts.headers[AUTHORIZATION], "Bearer own");
    Ok(())
}

#[tokio::test]
async fn the_debug_form_of_an_error_is_its_message_and_causes() -> Outcome {
    let (_issuer, _api, idaas) = protected().await?;
    let error = idaas.send(http().get("http://api.example.invalid/")).await.unwrap_err();
    assert!(format!("{error:?}").starts_with(&error.to_string()), "{error:?}");
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let error = idaas.send(http().get(format!("http://{}/", socket.local_addr()?))).await.unwrap_err();
    let debug = format!("{error:?}");
    assert!(debug.starts_with(&error.to_string()) && debug.contains("\n  caused by: "), "{debug}");
    Ok(())
}

#[cfg(feature = "reqwest-middleware")]
mod middleware {
    use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error as MiddlewareError};

    use super::*;

    fn client(layer: IdaasLayer) -> ClientWithMiddleware {
        ClientBuilder::new(http()).with(layer).build()
    }

    #[tokio::test]
    async fn a_layer_is_a_middleware_that_replays_and_keeps_to_destinations() -> Outcome {
        let (issuer, api, idaas) = protected().await?;
        let client = client(idaas.layer());
        assert_eq!(client.get(api.url()).send().await?.status(), StatusCode::OK);
        api.revoke_all_issued_before_now();
        assert_eq!(client.get(api.url()).send().await?.status(), StatusCode::OK);
        assert_eq!((api.refused(ApiRefusal::Revoked), api.accepted(), issuer.tokens_issued()), (1, 2, 2));
        let error = client.get("http://api.example.invalid/").send().await.unwrap_err();
        let MiddlewareError::Middleware(error) = error else { return Err(error.into()) };
        assert_eq!(error.downcast_ref::<Error>().map(Error::kind), Some(ErrorKind::Destination));
        Ok(())
    }

    #[tokio::test]
    async fn its_extensions_count_and_so_does_a_requests_time_limit() -> Outcome {
        let (issuer, _api, idaas) = protected().await?;
        let stock = issuer.api("api://stock").permission("read").plain_http().start().await?;
        let client = client(idaas.layer());
        let scope: Scope = "api://stock|read".parse()?;
        assert_eq!(client.get(stock.url()).with_extension(scope).send().await?.status(), StatusCode::OK);
        let none = client.get(stock.url()).with_extension(NoToken).send().await?;
        assert_eq!((none.status(), issuer.tokens_issued()), (StatusCode::UNAUTHORIZED, 1));
        issuer.set_behaviour(Behaviour::Hold);
        let error = client.get(stock.url()).timeout(Duration::from_millis(100)).send().await.unwrap_err();
        let MiddlewareError::Middleware(error) = error else { return Err(error.into()) };
        assert_eq!(error.downcast_ref::<Error>().map(Error::kind), Some(ErrorKind::Timeout));
        Ok(())
    }
}
