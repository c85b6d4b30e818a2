//! The API answers 401.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt};
use tower_idaas_testing::{ApiRefusal, Behaviour, TestIdaas};

use crate::handles::{
    ADVISORY, Api, Outcome, ScriptedSource, client_of, fed_by, get, http, seconds, send, settle, text, until,
};

const URL: &str = "https://api.example.com/";

#[tokio::test]
async fn fifty_rejections_of_one_token_make_one_refresh() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let api = issuer.api("api://test").plain_http().start().await?;
    let client = client_of(&issuer).build()?.layer().layer(http());
    client.clone().oneshot(get(api.url())).await?;
    api.revoke_all_issued_before_now();
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let (client, request) = (client.clone(), get(api.url()));
        let again = get(api.url());
        requests.spawn(async move {
            let first = client.clone().oneshot(request).await?.status();
            let second = client.oneshot(again).await?.status();
            Ok::<_, tower_idaas::BoxError>((first, second))
        });
    }
    while let Some(statuses) = requests.join_next().await {
        assert_eq!(statuses??.1, StatusCode::OK);
    }
    assert!(api.refused(ApiRefusal::Revoked) >= 1);
    assert_eq!(issuer.token_requests(), 2);
    Ok(())
}

#[tokio::test]
async fn fifty_requests_in_flight_with_one_token_make_one_refresh_when_all_are_rejected() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    idaas.prefetch().await?;
    let (service, mut handle) = tower_test::mock::pair::<_, http::Response<()>>();
    let client = idaas.layer().layer(service);
    handle.allow(50);
    let requests: Vec<_> = (0..50).map(|_| tokio::spawn(client.clone().oneshot(get(URL)))).collect();
    let mut parked = Vec::new();
    for _ in 0..50 {
        let (request, answer) = handle.next_request().await.ok_or("the client is gone")?;
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer token-1");
        parked.push(answer);
    }
    let late = parked.pop().ok_or("there were fifty")?;
    let rejected = || {
        let mut response = http::Response::new(());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response
    };
    parked.into_iter().for_each(|answer| answer.send_response(rejected()));
    settle().await;
    assert_eq!(source.fetches(), 1, "no token request before a request needs a token");
    assert_eq!(text(idaas.token().await)?, "token-2");

    // One more word about the old token says nothing about the new one.
    late.send_response(rejected());
    for request in requests {
        assert_eq!(request.await??.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(text(idaas.token().await)?, "token-2");
    assert_eq!(source.fetches(), 2);
    Ok(())
}

#[tokio::test]
async fn invalidating_a_token_that_was_replaced_leaves_its_successor_alone() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let first = idaas.token().await?;
    clock.advance(ADVISORY);
    idaas.token().await?;
    until(|| source.fetches() == 2 && idaas.peek().is_some_and(|token| token.expose_token() == "token-2"))
        .await;
    idaas.invalidate(&first);
    assert_eq!(text(idaas.token().await)?, "token-2");
    assert_eq!(source.fetches(), 2);
    Ok(())
}

#[tokio::test]
async fn an_invalidated_token_is_gone_at_once_from_every_clone() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let mut client = idaas.layer().layer(api.clone());
    for _ in 0..5 {
        send(&mut client, get(URL)).await?.await?; // and so it holds on to the token
    }
    idaas.invalidate(&idaas.token().await?);
    assert!(idaas.peek().is_none());
    api.take();
    send(&mut client, get(URL)).await?.await?;
    assert_eq!(api.take_token(), "token-2");
    Ok(())
}

#[tokio::test]
async fn invalidating_during_a_refresh_voids_what_the_refresh_brings() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let first = idaas.token().await?;
    clock.advance(ADVISORY);
    source.hold();
    idaas.token().await?;
    source.wait_for_fetches(2).await;
    idaas.invalidate(&first);
    let mut caller = task::spawn(idaas.token());
    assert_pending!(caller.poll());
    source.wait_for_fetches(3).await;
    source.release();
    assert_eq!(text(caller.await)?, "token-3");
    settle().await;
    assert_eq!(text(idaas.token().await)?, "token-3");
    assert_eq!(source.fetches(), 3);
    Ok(())
}

#[tokio::test]
async fn invalidating_during_a_refresh_voids_it_even_without_a_waiter() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let first = idaas.token().await?;
    clock.advance(ADVISORY);
    source.hold();
    idaas.token().await?;
    source.wait_for_fetches(2).await;
    idaas.invalidate(&first);
    source.release();
    settle().await;
    assert!(idaas.peek().is_none());
    assert_eq!(text(idaas.token().await)?, "token-3");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn forced_refreshes_are_a_second_apart() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let api = Api::default();
    api.respond_with(StatusCode::UNAUTHORIZED);
    let client = idaas.layer().layer(api);
    client.clone().oneshot(get(URL)).await?;
    client.clone().oneshot(get(URL)).await?;
    assert_eq!(source.fetches(), 2, "the first forced one leaves at once");
    for _ in 0..100 {
        client.clone().oneshot(get(URL)).await?;
        settle().await;
    }
    assert_eq!(source.fetches(), 2, "the token that exists is served for a second, though it is rejected");
    clock.advance(seconds(1));
    source.hold();
    client.clone().oneshot(get(URL)).await?;
    client.clone().oneshot(get(URL)).await?;
    settle().await;
    assert_eq!((source.fetches(), text(idaas.token().await)?), (3, "token-2".to_owned()), "and meanwhile");
    source.release();
    settle().await;
    assert_eq!(text(idaas.token().await)?, "token-3");
    Ok(())
}

/// Rejects `Bearer token-1` at first, and whatever comes to the hosts named `bad`.
fn picky(request: &http::Request<crate::handles::Body>) -> StatusCode {
    let bad = request.uri().host().is_some_and(|host| host.starts_with("bad"));
    let first = request.headers().get(AUTHORIZATION).is_some_and(|value| value == "Bearer token-1");
    if bad || first { StatusCode::UNAUTHORIZED } else { StatusCode::OK }
}

#[tokio::test]
async fn an_api_that_rejects_all_tokens_takes_none_from_an_api_that_accepts_them() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    source.set_life(seconds(86_400));
    let inner = tower::service_fn(|request: http::Request<crate::handles::Body>| async move {
        let mut response = http::Response::new(());
        *response.status_mut() = picky(&request);
        Ok::<_, tower_idaas::BoxError>(response)
    });
    let client = idaas.layer().layer(inner);
    let mut refused = 0;
    let mut fetches = Vec::new();
    for _minute in 0..5 {
        let before = source.fetches();
        for _ in 0..120 {
            client.clone().oneshot(get("https://bad.example.com/")).await?;
            let good = client.clone().oneshot(get("https://good.example.com/")).await?;
            refused += usize::from(good.status() != StatusCode::OK);
            settle().await;
            clock.advance(std::time::Duration::from_millis(500));
        }
        fetches.push(source.fetches() - before);
    }
    assert_eq!(refused, 0);
    assert!(fetches[0] <= 10 && fetches[1..].iter().all(|count| *count <= 1), "{fetches:?}");

    // What the good one rejects is taken for revoked all the same.
    let revoked = text(idaas.token().await)?;
    let api = Api::default();
    api.respond_with(StatusCode::UNAUTHORIZED);
    idaas.layer().layer(api).oneshot(get("https://good.example.com/")).await?;
    assert_ne!(text(idaas.token().await)?, revoked);
    Ok(())
}

#[tokio::test]
async fn a_broken_api_makes_no_storm_of_token_requests() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let idaas = client_of(&issuer).build()?;
    let api = Api::default();
    api.respond_with(StatusCode::UNAUTHORIZED);
    let client = idaas.layer().layer(api);
    let storm = async {
        loop {
            let _ = client.clone().oneshot(get(URL)).await;
            tokio::task::yield_now().await;
        }
    };
    let _: Result<(), _> = tokio::time::timeout(std::time::Duration::from_millis(300), storm).await;
    assert!(issuer.token_requests() <= 3, "{}", issuer.token_requests());
    Ok(())
}

#[tokio::test]
async fn only_a_401_about_our_own_token_counts() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let client = idaas.layer().layer(api.clone());
    idaas.prefetch().await?;
    for status in [StatusCode::FORBIDDEN, StatusCode::PROXY_AUTHENTICATION_REQUIRED, StatusCode::BAD_GATEWAY]
    {
        api.respond_with(status);
        assert_eq!(client.clone().oneshot(get(URL)).await?.status(), status);
    }
    api.respond_with(StatusCode::UNAUTHORIZED);
    let mut request = get(URL);
    request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer the-callers-own"));
    client.clone().oneshot(request).await?;
    let mut request = get(URL);
    request.extensions_mut().insert(tower_idaas::NoToken);
    client.clone().oneshot(request).await?;
    assert_eq!(text(idaas.token().await)?, "token-1");
    client.oneshot(get(URL)).await?;
    assert_eq!(text(idaas.token().await)?, "token-2");
    Ok(())
}

#[tokio::test]
async fn a_rejected_token_is_not_served_while_the_issuer_is_down() -> Outcome {
    let (issuer, idaas, clock) = crate::handles::turned_by_hand().await?;
    let first = idaas.token().await?;
    issuer.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    idaas.invalidate(&first);
    for _ in 0..5 {
        assert!(idaas.token().await.is_err());
    }
    issuer.set_behaviour(Behaviour::Normal);
    clock.advance(seconds(1));
    assert_ne!(text(idaas.token().await)?, first.expose_token());
    Ok(())
}

/// An HTTP/1.1 server that rejects `token-1` with a body of 64 MiB. It counts its connections, and the bytes of bodies
/// that were taken.
async fn wordy_api() -> std::io::Result<(String, Arc<[AtomicUsize; 2]>)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let shared = Arc::clone(&counts);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared[0].fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve_wordily(stream, Arc::clone(&shared)));
        }
    });
    Ok((url, counts))
}

async fn serve_wordily(
    mut stream: tokio::net::TcpStream,
    counts: Arc<[AtomicUsize; 2]>,
) -> std::io::Result<()> {
    const LENGTH: usize = 64 << 20;
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        request.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if !text.ends_with("\r\n\r\n") {
            continue;
        }
        request.clear();
        if !text.contains("Bearer token-1") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
            continue;
        }
        let head = format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {LENGTH}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        for _ in 0..LENGTH / piece.len() {
            stream.write_all(&piece).await?;
            counts[1].fetch_add(piece.len(), Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn a_rejection_with_an_endless_body_costs_one_connection_and_no_time() -> Outcome {
    let (url, counts) = wordy_api().await?;
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let plain =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let client = tower::ServiceBuilder::new()
        .layer(tower::retry::RetryLayer::new(tower_idaas::RetryUnauthorized::new()))
        .layer(idaas.layer())
        .service(plain);
    for _ in 0..3 {
        let response = client.clone().oneshot(get(&url)).await?;
        assert_eq!(response.status(), StatusCode::OK);
        http_body_util::BodyExt::collect(response.into_body()).await?;
    }
    let [connections, taken] = [0, 1].map(|count: usize| counts[count].load(Ordering::SeqCst));
    assert_eq!((connections, source.fetches()), (2, 2));
    assert!(taken < 16 << 20, "{taken} bytes of it were taken");
    Ok(())
}
