//! A gRPC server answers UNAUTHENTICATED: a 200 with `grpc-status: 16` in its headers.

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_idaas::{BoxError, NoToken};

use crate::handles::{Body, Outcome, ScriptedSource, fed_by, get, text};

const CALL: &str = "https://api.example.com/orders.v1.Orders/List";

/// Answers with this status in the headers.
fn with_status(
    status: &'static str,
) -> impl Service<Request<Body>, Response = Response<()>, Error = BoxError, Future: Send> + Clone {
    service_fn(move |_| async move {
        Ok(Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", status)
            .body(())?)
    })
}

#[tokio::test]
async fn unauthenticated_invalidates_the_token_where_grpc_is_on() -> Outcome {
    for is_cached in [false, true] {
        let source = ScriptedSource::new();
        let (idaas, _clock) = fed_by(&source)?;
        if is_cached {
            idaas.prefetch().await?;
        }
        let response = idaas.layer().grpc().layer(with_status("16")).oneshot(get(CALL)).await?;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "16");
        assert!(idaas.peek().is_none());
        assert_eq!(source.fetches(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn where_grpc_is_off_and_at_any_other_status_nothing_happens() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    idaas.layer().layer(with_status("16")).oneshot(get(CALL)).await?;
    for status in ["0", "1", "7", "14", "160", " 16", ""] {
        idaas.layer().grpc().layer(with_status(status)).oneshot(get(CALL)).await?;
    }
    let mut own = get(CALL);
    own.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer the-callers-own"));
    let mut none = get(CALL);
    none.extensions_mut().insert(NoToken);
    for request in [own, none] {
        idaas.layer().grpc().layer(with_status("16")).oneshot(request).await?;
    }
    assert_eq!((text(idaas.token().await)?.as_str(), source.fetches()), ("token-1", 1));
    Ok(())
}

#[tokio::test]
async fn unauthenticated_for_lack_of_rights_leaves_the_token_alone() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let lacking = service_fn(|_: Request<Body>| async {
        Response::builder()
            .header("grpc-status", "16")
            .header("www-authenticate", "Bearer error=\"insufficient_scope\"")
            .body(())
    });
    idaas.layer().grpc().layer(lacking).oneshot(get(CALL)).await?;
    assert_eq!((text(idaas.token().await)?.as_str(), source.fetches()), ("token-1", 1));
    Ok(())
}

#[tokio::test]
async fn a_401_counts_still() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let refusing = service_fn(|_: Request<Body>| async { Response::builder().status(401).body(()) });
    idaas.layer().grpc().layer(refusing).oneshot(get(CALL)).await?;
    assert!(idaas.peek().is_none());
    Ok(())
}

#[tokio::test]
async fn an_unauthenticated_call_is_replayed_with_the_next_token() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let picky = service_fn(|request: Request<Body>| async move {
        let status = if request.headers()[AUTHORIZATION] == "Bearer token-1" { "16" } else { "0" };
        Response::builder().header("grpc-status", status).body(())
    });
    let client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer().grpc())
        .service(picky);
    assert_eq!(client.oneshot(get(CALL)).await?.headers()["grpc-status"], "0");
    assert_eq!(source.fetches(), 2);
    Ok(())
}

#[tokio::test]
async fn what_is_no_service_learns_of_an_unauthenticated_call_where_grpc_is_on_and_only_there() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let mut headers = http::HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from_static("16"));
    let authorized = idaas.layer().authorize(&mut get(CALL)).await?;
    assert!(!authorized.report(StatusCode::OK, &headers));
    let authorized = idaas.layer().grpc().authorize(&mut get(CALL)).await?;
    assert!(authorized.report(StatusCode::OK, &headers));
    assert!(idaas.peek().is_none());
    Ok(())
}
