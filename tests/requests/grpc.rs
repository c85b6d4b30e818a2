//! Over tonic: unary and streaming calls through a `Channel`, to a server that verifies each token.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tonic::body::Body;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::health_reporter;
use tower::{Layer, ServiceBuilder};
use tower_idaas::service::{Grpc, Http, Protocol};
use tower_idaas::{BoxError, Error, ErrorKind, Idaas, IdaasLayer, IdaasService, Scope, Token};
use tower_idaas_testing::{Behaviour, TestIdaas};

use crate::verifier::Verifier;

type Outcome = Result<(), BoxError>;
type Client<P = Http> = HealthClient<IdaasService<Channel, P>>;

/// A health service for holders of good tokens.
struct Protected {
    address: SocketAddr,
    revoked: Arc<Mutex<Vec<String>>>,
}

impl Protected {
    async fn start(issuer: &TestIdaas) -> Result<Self, BoxError> {
        let verifier = Verifier::new(&issuer.jwks(), issuer.issuer(), "api://orders")?;
        let revoked = Arc::<Mutex<Vec<String>>>::default();
        let list = Arc::clone(&revoked);
        let verify = move |request: Request<()>| {
            let header = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
            let header = header.ok_or_else(|| Status::unauthenticated("no token"))?;
            verifier.verify(header).map_err(|error| Status::unauthenticated(error.to_string()))?;
            match list.lock().unwrap().iter().any(|token| header.ends_with(token)) {
                true => Err(Status::unauthenticated("a token that was revoked")),
                false => Ok(request),
            }
        };
        let (_reporter, health) = health_reporter();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
        let address = incoming.local_addr()?;
        let server = Server::builder().add_service(InterceptedService::new(health, verify));
        tokio::spawn(server.serve_with_incoming(incoming));
        Ok(Self { address, revoked })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn channel(&self) -> Result<Channel, BoxError> {
        Ok(Channel::from_shared(self.url())?.connect().await?)
    }

    fn revoke(&self, token: &Token) {
        self.revoked.lock().unwrap().push(token.expose_token().to_owned());
    }
}

async fn protected() -> Result<(TestIdaas, Protected, Idaas), BoxError> {
    let issuer = TestIdaas::builder().scope("api://orders|read").scope("api://stock|read").start().await?;
    let server = Protected::start(&issuer).await?;
    let idaas = crate::support::builder(&issuer).build()?;
    Ok((issuer, server, idaas))
}

fn serving(response: &HealthCheckResponse) -> bool {
    response.status() == ServingStatus::Serving
}

async fn check<P>(client: &mut Client<P>) -> Result<bool, Status>
where
    P: Protocol<http::Response<Body>>,
{
    Ok(serving(client.check(HealthCheckRequest::default()).await?.get_ref()))
}

/// Opens a stream and reads its first message.
async fn watch<P>(client: &mut Client<P>) -> Result<bool, Status>
where
    P: Protocol<http::Response<Body>>,
{
    let mut statuses = client.watch(HealthCheckRequest::default()).await?.into_inner();
    Ok(statuses.message().await?.is_some_and(|response| serving(&response)))
}

/// Our error, wherever in the chain it is.
fn kind(status: &Status) -> Option<ErrorKind> {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return Some(ours.kind());
        }
        cause = error.source();
    }
    None
}

#[tokio::test]
async fn unary_and_streaming_calls_leave_with_one_token() -> Outcome {
    let (issuer, server, idaas) = protected().await?;
    let mut client = HealthClient::new(idaas.layer().layer(server.channel().await?));
    assert!(check(&mut client).await?);
    assert!(watch(&mut client).await?);
    assert!(check(&mut client.clone()).await?);
    assert_eq!(issuer.token_requests(), 1);
    Ok(())
}

#[tokio::test]
async fn the_server_refuses_calls_without_a_token_and_with_one_for_another_audience() -> Outcome {
    let (_issuer, server, idaas) = protected().await?;
    let mut bare = HealthClient::new(server.channel().await?);
    let refused: Result<Response<HealthCheckResponse>, _> = bare.check(HealthCheckRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);

    let layer = idaas.layer().scope(&"api://stock|read".parse()?);
    let mut client = HealthClient::new(layer.layer(server.channel().await?));
    assert_eq!(check(&mut client).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(watch(&mut client).await.unwrap_err().code(), Code::Unauthenticated);
    Ok(())
}

#[tokio::test]
async fn a_scope_among_the_extensions_of_a_call_is_the_one_of_its_token() -> Outcome {
    let (_issuer, server, idaas) = protected().await?;
    let layer = idaas.layer().scope(&"api://stock|read".parse()?).grpc();
    let mut client = HealthClient::new(layer.layer(server.channel().await?));
    let mut request = Request::new(HealthCheckRequest::default());
    request.extensions_mut().insert("api://orders|read".parse::<Scope>()?);
    assert!(serving(client.check(request).await?.get_ref()));
    assert_eq!(check(&mut client).await.unwrap_err().code(), Code::Unauthenticated);
    Ok(())
}

#[tokio::test]
async fn unauthenticated_invalidates_the_token_and_the_next_call_has_a_new_one() -> Outcome {
    for streaming in [false, true] {
        let (issuer, server, idaas) = protected().await?;
        let mut client = HealthClient::new(idaas.layer().grpc().layer(server.channel().await?));
        server.revoke(&idaas.token().await?);
        let call = async |client: &mut Client<Grpc>| {
            if streaming { watch(client).await } else { check(client).await }
        };
        let refused = call(&mut client).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::Unauthenticated, "a token that was revoked"));
        assert!(idaas.peek().is_none());
        assert!(call(&mut client).await?);
        assert_eq!(issuer.tokens_issued(), 2);
    }
    Ok(())
}

#[tokio::test]
async fn where_grpc_is_off_the_layer_keeps_the_token() -> Outcome {
    let (_issuer, server, idaas) = protected().await?;
    let mut client = HealthClient::new(idaas.layer().layer(server.channel().await?));
    let token = idaas.token().await?;
    server.revoke(&token);
    for _ in 0..2 {
        assert_eq!(check(&mut client).await.unwrap_err().code(), Code::Unauthenticated);
    }
    assert_eq!(idaas.token().await?.expose_token(), token.expose_token());
    Ok(())
}

#[tokio::test]
async fn where_messages_cannot_be_cloned_the_retry_policy_stands_aside() -> Outcome {
    let (_issuer, server, idaas) = protected().await?;
    let policy = tower_idaas::RetryUnauthorized::new().clone_body(|_: &Body| None);
    let service =
        ServiceBuilder::new().retry(policy).layer(idaas.layer().grpc()).service(server.channel().await?);
    let mut client = HealthClient::new(service);
    server.revoke(&idaas.token().await?);
    let refused = client.check(HealthCheckRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    assert!(serving(client.check(HealthCheckRequest::default()).await?.get_ref()));
    Ok(())
}

#[tokio::test]
async fn a_client_that_names_its_origin_is_held_to_the_rules_for_destinations() -> Outcome {
    let (issuer, server, idaas) = protected().await?;
    let channel = server.channel().await?;
    let listed = idaas.layer().allow_origins([server.url()])?;
    // A channel adds its origin behind the layer: the client must name it in front.
    let named = |layer: &IdaasLayer, origin: &str| -> Result<Client, http::uri::InvalidUri> {
        Ok(HealthClient::with_origin(layer.layer(channel.clone()), origin.parse()?))
    };
    assert!(check(&mut named(&listed, &server.url())?).await?);
    for mut client in [
        HealthClient::new(listed.layer(channel.clone())),
        named(&listed, "https://elsewhere.example.com")?,
        named(&idaas.layer(), "http://elsewhere.example.com")?,
    ] {
        let refused = check(&mut client).await.unwrap_err();
        assert_eq!(kind(&refused), Some(ErrorKind::Destination), "{refused:?}");
    }
    assert_eq!(issuer.tokens_issued(), 1);
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_not_to_be_had_fails_the_call_with_our_error() -> Outcome {
    let (issuer, server, idaas) = protected().await?;
    issuer.set_secret("another");
    let mut client = HealthClient::new(idaas.layer().layer(server.channel().await?));
    let refused = check(&mut client).await.unwrap_err();
    assert_eq!(kind(&refused), Some(ErrorKind::Refused), "{refused:?}");
    Ok(())
}

/// A call through `.grpc()`, and what its caller sees.
async fn refused(layer: IdaasLayer, server: &Protected, origin: &str) -> Result<Status, BoxError> {
    let channel = server.channel().await?;
    let mut client = HealthClient::with_origin(layer.grpc().layer(channel), origin.parse()?);
    let refused = check(&mut client).await.unwrap_err();
    let streaming = watch(&mut client).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (streaming.code(), streaming.message()));
    Ok(refused)
}

#[tokio::test]
async fn over_grpc_a_destination_that_may_not_get_a_token_is_a_failed_precondition() -> Outcome {
    let (issuer, server, idaas) = protected().await?;
    let listed = idaas.layer().allow_origins([server.url()])?;
    for (layer, origin) in
        [(listed, "https://elsewhere.example.com"), (idaas.layer(), "http://elsewhere.example.com")]
    {
        let status = refused(layer, &server, origin).await?;
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains("elsewhere.example.com"), "{status:?}");
    }
    assert_eq!(issuer.token_requests(), 0);
    Ok(())
}

#[tokio::test]
async fn over_grpc_a_token_that_is_not_to_be_had_is_a_status_with_our_message() -> Outcome {
    let (issuer, server, idaas) = protected().await?;
    issuer.set_secret("another");
    let status = refused(idaas.layer(), &server, &server.url()).await?;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), idaas.token().await.unwrap_err().to_string());

    let (issuer, server, idaas) = protected().await?;
    issuer.set_behaviour(Behaviour::status(http::StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(refused(idaas.layer(), &server, &server.url()).await?.code(), Code::Unavailable);
    Ok(())
}

#[tokio::test]
async fn over_grpc_the_deadline_of_a_call_bounds_the_wait_for_a_token() -> Outcome {
    let (issuer, server, idaas) = protected().await?;
    issuer.set_behaviour(Behaviour::Hold);
    let mut client = HealthClient::new(idaas.layer().grpc().layer(server.channel().await?));
    let mut request = Request::new(HealthCheckRequest::default());
    request.set_timeout(Duration::from_millis(150));
    let start = tokio::time::Instant::now();
    let status = client.check(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn over_grpc_a_call_leaves_with_what_is_left_of_its_deadline() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let idaas = crate::support::builder(&issuer).build()?;
    issuer.set_behaviour(Behaviour::Slow(Duration::from_millis(200)));
    let seen = tower::service_fn(async |request: http::Request<Body>| {
        let mut response = http::Response::new(Body::default());
        let left = request.headers()["grpc-timeout"].clone();
        response.headers_mut().insert("x-left", left);
        Ok::<_, BoxError>(response)
    });
    let client = idaas.layer().grpc().layer(seen);
    let request = http::Request::post("https://api.example.com/a.B/C").header("grpc-timeout", "5S");
    let response = tower::ServiceExt::oneshot(client, request.body(Body::default())?).await?;
    let left = response.headers()["x-left"].to_str()?;
    let micros: u64 = left.strip_suffix('u').ok_or(left)?.parse()?;
    assert!((1_000_000..4_800_000).contains(&micros), "{left}");
    Ok(())
}
