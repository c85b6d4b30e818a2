//! A request whose token the API rejects is sent once more.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use tokio::task::JoinSet;
use tokio_test::{assert_ready, task};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_idaas::{BoxError, NoToken, Scope};
use tower_idaas_testing::{ApiRefusal, TestIdaas};

use crate::handles::{
    Api, Body, Outcome, ScriptedSource, client_of, fed_by, get, http, seconds, settle, text,
};

const URL: &str = "https://api.example.com/orders";

pub(crate) type Text = Full<Bytes>;

pub(crate) fn order() -> Request<Text> {
    Request::post(URL).header("x-order", "7").body("two cups of tea".into()).unwrap()
}

/// An API that notes what came, and answers by the number of the request and its token.
#[derive(Clone, Default)]
pub(crate) struct Shop(Arc<Mutex<Vec<String>>>);

impl Shop {
    pub(crate) fn service(
        &self,
        answer: impl Fn(usize, &str) -> u16 + Clone + Send + 'static,
    ) -> impl Service<Request<Text>, Response = Response<()>, Error = BoxError, Future: Send>
    + Clone
    + Send
    + 'static {
        let Self(notes) = self.clone();
        service_fn(move |request: Request<Text>| {
            let (notes, answer) = (Arc::clone(&notes), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let token = parts.headers[AUTHORIZATION].to_str()?.to_owned();
                let order = parts.headers["x-order"].to_str()?.to_owned();
                let body = body.collect().await?.to_bytes();
                let number = {
                    let mut notes = notes.lock().unwrap();
                    notes.push(format!("{token} {} {order} {}", parts.method, str::from_utf8(&body)?));
                    notes.len()
                };
                Ok(Response::builder().status(answer(number, &token)).header("x-number", number).body(())?)
            }
        })
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) fn first_token_is_bad(_: usize, token: &str) -> u16 {
    if token == "Bearer token-1" { 401 } else { 200 }
}

pub(crate) const ORDERED_WITH_1: &str = "Bearer token-1 POST 7 two cups of tea";
pub(crate) const ORDERED_WITH_2: &str = "Bearer token-2 POST 7 two cups of tea";

#[tokio::test]
async fn the_replay_leaves_whole_with_the_next_token() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let shop = Shop::default();
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(shop.service(first_token_is_bad));
    let response = client.clone().oneshot(order()).await?;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(shop.seen(), [ORDERED_WITH_1, ORDERED_WITH_2]);
    client.oneshot(order()).await?;
    assert_eq!((shop.seen().len(), source.fetches()), (3, 2));
    Ok(())
}

#[tokio::test]
async fn the_replay_has_the_scope_of_the_request() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let stock = issuer.api("api://stock").permission("read").plain_http().start().await?;
    let idaas = client_of(&issuer).build()?;
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(http());
    let request = || {
        let mut request = get(stock.url());
        request.extensions_mut().insert("api://stock|read".parse::<Scope>()?);
        Ok::<_, BoxError>(request)
    };
    client.clone().oneshot(request()?).await?;
    stock.revoke_all_issued_before_now();
    assert_eq!(client.oneshot(request()?).await?.status(), StatusCode::OK);
    assert_eq!((stock.refused(ApiRefusal::Revoked), stock.accepted(), issuer.token_requests()), (1, 2, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn two_rejections_in_a_row_are_the_callers_and_force_one_refresh_within_a_second() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let shop = Shop::default();
    // Twice the same policy changes nothing.
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(shop.service(|_, _| 401));
    let response = client.clone().oneshot(order()).await?;
    assert_eq!(
        (response.status(), &response.headers()["x-number"]),
        (StatusCode::UNAUTHORIZED, &"2".parse()?)
    );
    assert_eq!(shop.seen(), [ORDERED_WITH_1, ORDERED_WITH_2]);
    assert_eq!(source.fetches(), 2);
    // The token that exists is served, and there is no other to replay with: the response comes without a pause.
    let mut next = task::spawn(client.clone().oneshot(order()));
    assert_eq!(assert_ready!(next.poll())?.status(), StatusCode::UNAUTHORIZED);
    assert_eq!((shop.seen().len(), source.fetches()), (3, 2));
    clock.advance(seconds(1));
    for _ in 0..2 {
        assert_eq!(client.clone().oneshot(order()).await?.status(), StatusCode::UNAUTHORIZED);
        settle().await;
    }
    assert_eq!((shop.seen().len(), source.fetches()), (5, 3), "the next one is fetched behind the requests");
    Ok(())
}

#[tokio::test]
async fn fifty_rejected_requests_make_one_refresh_and_one_replay_each_and_a_late_one_fetches_nothing()
-> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    idaas.prefetch().await?;
    let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<()>>();
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(service);
    handle.allow(1_000);
    let mut requests = JoinSet::new();
    for _ in 0..51 {
        requests.spawn(client.clone().oneshot(get(URL)));
    }
    let mut parked = Vec::new();
    for _ in 0..51 {
        let (request, answer) = handle.next_request().await.ok_or("the client is gone")?;
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer token-1");
        parked.push(answer);
    }
    let rejected = || Response::builder().status(StatusCode::UNAUTHORIZED).body(());
    let late = parked.pop().ok_or("there were fifty-one")?;
    for answer in parked {
        answer.send_response(rejected()?);
    }
    for _ in 0..50 {
        let (request, answer) = handle.next_request().await.ok_or("the client is gone")?;
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer token-2");
        answer.send_response(Response::new(()));
    }
    for _ in 0..50 {
        let response = requests.join_next().await.ok_or("there were fifty")???;
        assert_eq!(response.status(), StatusCode::OK);
    }
    late.send_response(rejected()?);
    let (request, answer) = handle.next_request().await.ok_or("the client is gone")?;
    assert_eq!(request.headers()[AUTHORIZATION], "Bearer token-2");
    answer.send_response(Response::new(()));
    assert_eq!(requests.join_next().await.ok_or("one is left")???.status(), StatusCode::OK);
    settle().await;
    assert_eq!((text(idaas.token().await)?.as_str(), source.fetches()), ("token-2", 2));
    drop(client);
    assert!(handle.next_request().await.is_none(), "no request is replayed twice");
    Ok(())
}

/// A body that cannot be cloned, as streams cannot.
#[derive(Debug, PartialEq)]
struct Stream(&'static str);

#[tokio::test]
async fn a_streamed_body_is_sent_once_and_its_rejected_token_is_invalidated() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new().clone_body(|_: &Stream| None))
        .layer(idaas.layer())
        .service(service_fn(move |request: Request<Stream>| {
            notes.lock().unwrap().push(request.into_body());
            std::future::ready(Response::builder().status(401).header("x-kind", "theirs").body("denied"))
        }));
    let response = client.oneshot(Request::put(URL).body(Stream("one"))?).await?;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["x-kind"], "theirs");
    assert_eq!(response.into_body(), "denied");
    assert_eq!(*seen.lock().unwrap(), [Stream("one")]);
    assert!(idaas.peek().is_none());
    assert_eq!(source.fetches(), 1);
    Ok(())
}

#[tokio::test]
async fn a_body_cloned_by_a_function_is_replayed_whole() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let shop = Shop::default();
    let policy = tower_idaas::RetryUnauthorized::new().clone_body(|body: &Text| Some(body.clone()));
    let client =
        ServiceBuilder::new().retry(policy).layer(idaas.layer()).service(shop.service(first_token_is_bad));
    assert_eq!(client.oneshot(order()).await?.status(), StatusCode::OK);
    assert_eq!(shop.seen(), [ORDERED_WITH_1, ORDERED_WITH_2]);
    Ok(())
}

#[tokio::test]
async fn only_a_401_about_our_own_token_is_replayed() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let layer = idaas.layer().allow_origins(["https://api.example.com"])?.without_token_elsewhere();
    let client =
        ServiceBuilder::new().retry(tower_idaas::RetryUnauthorized::new()).layer(layer).service(api.clone());
    for status in [StatusCode::FORBIDDEN, StatusCode::PROXY_AUTHENTICATION_REQUIRED, StatusCode::BAD_GATEWAY]
    {
        api.respond_with(status);
        assert_eq!(client.clone().oneshot(get(URL)).await?.status(), status);
        assert_eq!(api.take().len(), 1);
    }
    api.respond_with(StatusCode::UNAUTHORIZED);
    let mut own = get(URL);
    own.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer the-callers-own"));
    let mut none = get(URL);
    none.extensions_mut().insert(NoToken);
    for request in [own, none, get("https://elsewhere.example.com/")] {
        assert_eq!(client.clone().oneshot(request).await?.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(api.take().len(), 1);
    }
    assert_eq!((text(idaas.token().await)?.as_str(), source.fetches()), ("token-1", 1));
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_replay_is_the_callers() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    idaas.prefetch().await?;
    let refusing = source.clone();
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(service_fn(move |_: Request<Empty<Bytes>>| {
            refusing.fail_with(tower_idaas::Error::new(tower_idaas::ErrorKind::Refused, "no more"));
            std::future::ready(Response::builder().status(401).body(()))
        }));
    let error = client.oneshot(get(URL)).await.unwrap_err();
    assert_eq!(crate::handles::ours(&error).kind(), tower_idaas::ErrorKind::Refused);
    Ok(())
}
