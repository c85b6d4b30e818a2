//! A redirect leads to a foreign server: no token reaches it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_idaas::{ErrorKind, IdaasLayer};

use crate::handles::{Body, Outcome, ScriptedSource, fed_by, get};

/// A server on a port of its own that answers every request alike and keeps what it was sent.
struct Server {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(status: StatusCode, location: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = Self { address: listener.local_addr()?, heads: Arc::default() };
        let heads = Arc::clone(&server.heads);
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = serve(stream, &answer, &heads).await;
            }
        });
        Ok(server)
    }

    async fn redirecting_to(location: &str) -> io::Result<Self> {
        Self::start(StatusCode::TEMPORARY_REDIRECT, location).await
    }

    async fn hostile() -> io::Result<Self> {
        Self::start(StatusCode::OK, "").await
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What the requests carried in `Authorization`, in order.
    fn authorizations(&self) -> Vec<Option<String>> {
        let heads = self.heads.lock().unwrap();
        let header = |line: &str| line.strip_prefix("authorization: ").map(str::to_owned);
        heads.iter().map(|head| head.lines().find_map(header)).collect()
    }
}

async fn serve(mut stream: TcpStream, answer: &str, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    heads.lock().unwrap().push(String::from_utf8_lossy(&head).to_ascii_lowercase());
    stream.write_all(answer.as_bytes()).await
}

fn http() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

fn token() -> Vec<Option<String>> {
    vec![Some("bearer token-1".to_owned())]
}

/// The kind of our error, wherever in the chain it is.
fn kind(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    error.downcast_ref().map(tower_idaas::Error::kind).or_else(|| kind(error.source()?))
}

#[tokio::test]
async fn inside_a_redirect_layer_the_list_keeps_the_token_from_another_origin() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    for without_token in [false, true] {
        let hostile = Server::hostile().await?;
        let api = Server::redirecting_to(&hostile.url()).await?;
        let mut layer = idaas.layer().allow_origins([api.url().trim_end_matches('/')])?;
        if without_token {
            layer = layer.without_token_elsewhere();
        }
        let client = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer).service(http());
        let answer = client.oneshot(get(&api.url())).await;
        assert_eq!(api.authorizations(), token());
        if without_token {
            assert_eq!(answer?.status(), StatusCode::OK);
            assert_eq!(hostile.authorizations(), [None]);
        } else {
            assert_eq!(kind(&*answer.unwrap_err()), Some(ErrorKind::Destination));
            assert!(hostile.authorizations().is_empty());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_request_without_a_token_gets_none_on_its_way_to_another_origin() -> Outcome {
    // Redirect layers drop a request's extensions there, `NoToken` and `Scope` among them.
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let hostile = Server::hostile().await?;
    let api = Server::redirecting_to(&hostile.url()).await?;
    let layer = idaas.layer().allow_origins([api.url().trim_end_matches('/')])?.without_token_elsewhere();
    let client = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer).service(http());
    let mut request = get(&api.url());
    request.extensions_mut().insert(tower_idaas::NoToken);
    client.oneshot(request).await?;
    assert_eq!((api.authorizations(), hostile.authorizations()), (vec![None], vec![None]));
    Ok(())
}

#[tokio::test]
async fn within_the_list_each_hop_gets_the_token() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let target = Server::hostile().await?; // as it is on the list, it is no such thing
    let api = Server::redirecting_to(&target.url()).await?;
    let origins = [api.url(), target.url()].map(|url| url.trim_end_matches('/').to_owned());
    let layer = idaas.layer().allow_origins(origins)?;
    let client = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer).service(http());
    assert_eq!(client.oneshot(get(&api.url())).await?.status(), StatusCode::OK);
    assert_eq!((api.authorizations(), target.authorizations()), (token(), token()));
    Ok(())
}

#[tokio::test]
async fn outside_a_redirect_layer_no_list_is_needed() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let hostile = Server::hostile().await?;
    let api = Server::redirecting_to(&hostile.url()).await?;
    let client = ServiceBuilder::new().layer(idaas.layer()).layer(FollowRedirectLayer::new()).service(http());
    assert_eq!(client.oneshot(get(&api.url())).await?.status(), StatusCode::OK);
    assert_eq!((api.authorizations(), hostile.authorizations()), (token(), vec![None]));
    Ok(())
}

/// An `https` API that redirects to plain HTTP: its first answer is made here, the second hop is real.
fn downgrading(
    to: String,
) -> impl Service<Request<Body>, Response = Response<()>, Error = BoxError, Future: Send> + Clone {
    service_fn(move |request: Request<Body>| {
        let location = to.clone();
        async move {
            if request.uri().scheme_str() == Some("https") {
                assert_eq!(request.headers()["authorization"], "Bearer token-1");
                return Ok(Response::builder().status(302).header("location", location).body(())?);
            }
            Ok(http().oneshot(request).await?.map(drop))
        }
    })
}

#[tokio::test]
async fn no_token_follows_a_redirect_from_https_to_http() -> Outcome {
    const URL: &str = "https://api.example.com/";
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let around = |layer: IdaasLayer, hostile: &Server| {
        let client = downgrading(hostile.url());
        FollowRedirectLayer::new().layer(layer.layer(client))
    };
    // This machine may be spoken to in plain text; the list says that it is not the API.
    let hostile = Server::hostile().await?;
    let layer = idaas.layer().allow_origins(["https://api.example.com"])?;
    let error = around(layer.clone(), &hostile).oneshot(get(URL)).await.unwrap_err();
    assert_eq!(kind(&*error), Some(ErrorKind::Destination));
    assert!(hostile.authorizations().is_empty());
    around(layer.without_token_elsewhere(), &hostile).oneshot(get(URL)).await?;
    assert_eq!(hostile.authorizations(), [None]);
    // The very host, without encryption.
    let client = downgrading("http://api.example.com/".to_owned());
    let listed = idaas.layer().allow_origins(["https://api.example.com", "http://api.example.com"])?;
    for layer in [idaas.layer(), listed] {
        let client = FollowRedirectLayer::new().layer(layer.layer(client.clone()));
        assert_eq!(kind(&*client.oneshot(get(URL)).await.unwrap_err()), Some(ErrorKind::Destination));
    }
    // With the layer outside, the redirect layer takes the token off.
    let hostile = Server::hostile().await?;
    let client = idaas.layer().layer(FollowRedirectLayer::new().layer(downgrading(hostile.url())));
    client.oneshot(get(URL)).await?;
    assert_eq!(hostile.authorizations(), [None]);
    Ok(())
}
