//! Over tonic: unary and streaming calls through a `Channel`, to a server that verifies each token.
#![cfg(feature = "transport")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;
#[path = "../examples/verifier/mod.rs"]
mod verifier;

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

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
use tower_idaas::{BoxError, Error, ErrorKind, Idaas, IdaasService, Token};
use tower_idaas_testing::TestIdaas;

use crate::verifier::Verifier;

type Outcome = Result<(), BoxError>;
type Client = HealthClient<IdaasService<Channel>>;

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
    let idaas = support::builder(&issuer).build()?;
    Ok((issuer, server, idaas))
}

fn serving(response: &HealthCheckResponse) -> bool {
    response.status() == ServingStatus::Serving
}

async fn check(client: &mut Client) -> Result<bool, Status> {
    Ok(serving(client.check(HealthCheckRequest::default()).await?.get_ref()))
}

/// Opens a stream and reads its first message.
async fn watch(client: &mut Client) -> Result<bool, Status> {
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
async fn unauthenticated_withdraws_the_token_and_the_next_call_has_a_new_one() -> Outcome {
    for streaming in [false, true] {
        let (issuer, server, idaas) = protected().await?;
        let mut client = HealthClient::new(idaas.layer().grpc().layer(server.channel().await?));
        server.revoke(&idaas.token().await?);
        let call = async |client: &mut Client| {
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
async fn without_being_asked_to_look_the_layer_keeps_the_token() -> Outcome {
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
    let named = |layer: &tower_idaas::IdaasLayer, origin: &str| -> Result<Client, http::uri::InvalidUri> {
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
