//! Redirects that reqwest follows itself: with our policy a token stays within the origin of the request.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, StatusCode, Uri};
use reqwest::{Client, Response};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_idaas::{BoxError, Idaas, IdaasLayer, SendError};
use tower_idaas_testing::TestIdaas;

type Outcome = Result<(), BoxError>;

/// The path of a request, and whether it had a header `Authorization`.
type Seen = (String, bool);

/// Redirects each of its paths to another one or to another server, and notes what it is sent.
struct Redirecting {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Redirecting {
    async fn start(rows: &[(&'static str, StatusCode, &str)]) -> Result<Self, BoxError> {
        Self::serve(TcpListener::bind("127.0.0.1:0").await?, rows)
    }

    /// A path that no row has is no redirect.
    fn serve(listener: TcpListener, rows: &[(&'static str, StatusCode, &str)]) -> Result<Self, BoxError> {
        let url = format!("http://{}", listener.local_addr()?);
        let rows: Vec<_> = rows.iter().map(|&(path, status, to)| (path, status, to.to_owned())).collect();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let serve = move |State(seen): State<Arc<Mutex<Vec<Seen>>>>, uri: Uri, headers: HeaderMap| async move {
            seen.lock().unwrap().push((uri.path().to_owned(), headers.contains_key(AUTHORIZATION)));
            match rows.into_iter().find(|row| row.0 == uri.path()) {
                Some((_, status, to)) => (status, [(LOCATION, to)]).into_response(),
                None => StatusCode::OK.into_response(),
            }
        };
        let router = Router::new().fallback(serve).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, seen })
    }

    /// What came, in order, and forgets it.
    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

async fn idaas() -> Result<(TestIdaas, Idaas), BoxError> {
    let issuer = TestIdaas::builder().scope("api://orders|read").start().await?;
    let idaas = crate::support::builder(&issuer).build()?;
    Ok((issuer, idaas))
}

fn http() -> Client {
    Client::builder().no_proxy().redirect(Idaas::redirect_policy()).build().unwrap()
}

/// By each way that a request of reqwest's can take.
async fn each_way(layer: &IdaasLayer, url: &str) -> Vec<Result<Response, BoxError>> {
    let through_tower = layer.layer(http()).oneshot(http().get(url).build().unwrap()).await;
    let sent = layer.send(http().get(url)).await.map_err(Into::into);
    #[cfg(feature = "reqwest-middleware")]
    let through_middleware = {
        let client = reqwest_middleware::ClientBuilder::new(http()).with(layer.clone()).build();
        client.get(url).send().await.map_err(Into::into)
    };
    vec![
        through_tower,
        sent,
        #[cfg(feature = "reqwest-middleware")]
        through_middleware,
    ]
}

/// Each of these paths with a token, and that so many times over.
fn with_token(paths: &[&str], times: usize) -> Vec<Seen> {
    paths.repeat(times).into_iter().map(|path| (path.to_owned(), true)).collect()
}

/// The status, and where it redirects to.
fn redirect(response: &Response) -> (StatusCode, &str) {
    (response.status(), response.headers()[LOCATION].to_str().unwrap())
}

#[tokio::test]
async fn no_token_reaches_another_origin_however_many_redirects_lead_there() -> Outcome {
    let (_issuer, idaas) = idaas().await?;
    for status in [StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT] {
        let foreign = Redirecting::start(&[("/one", status, "/two")]).await?;
        let away = format!("{}/one", foreign.url);
        let api = Redirecting::start(&[("/", status, &away), ("/first", status, "/")]).await?;
        for layer in [idaas.layer(), idaas.layer().allow_origins([&api.url])?] {
            for (path, requests) in [("/", &["/"][..]), ("/first", &["/first", "/"])] {
                let responses = each_way(&layer, &format!("{}{path}", api.url)).await;
                assert_eq!(api.take(), with_token(requests, responses.len()));
                for response in responses {
                    assert_eq!(redirect(&response?), (status, &*away));
                }
            }
        }
        assert_eq!(foreign.take(), []);
    }
    // A redirect says nothing about the token.
    assert!(idaas.peek().is_some());
    Ok(())
}

#[tokio::test]
async fn within_the_origin_redirects_are_followed_with_the_token_ten_times_at_most() -> Outcome {
    let (_issuer, idaas) = idaas().await?;
    let status = StatusCode::TEMPORARY_REDIRECT;
    let api = Redirecting::start(&[
        ("/", StatusCode::FOUND, "/one"),
        ("/one", status, "/two"),
        ("/round", status, "/round"),
    ])
    .await?;
    let responses = each_way(&idaas.layer(), &api.url).await;
    assert_eq!(api.take(), with_token(&["/", "/one", "/two"], responses.len()));
    for response in responses {
        let response = response?;
        assert_eq!((response.status(), response.url().path()), (StatusCode::OK, "/two"));
    }

    let error = idaas.send(http().get(format!("{}/round", api.url))).await.unwrap_err();
    assert!(matches!(&error, SendError::Http(error) if error.is_redirect()), "{error}");
    assert_eq!(api.take(), with_token(&["/round"], 11));
    Ok(())
}

/// `localhost` is another origin than the address that it stands for.
#[tokio::test]
async fn another_host_or_port_or_scheme_is_another_origin() -> Outcome {
    let (_issuer, idaas) = idaas().await?;
    let other = Redirecting::start(&[]).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let own = listener.local_addr()?.to_string();
    let targets = [
        other.url.clone(),
        format!("https://{own}/"),
        format!("http://{}/", own.replace("127.0.0.1", "localhost")),
        "//api.example.invalid/".to_owned(),
        "ftp://api.example.invalid/".to_owned(),
    ];
    let paths = ["/0", "/1", "/2", "/3", "/4"];
    let rows: Vec<_> =
        paths.iter().zip(&targets).map(|(path, to)| (*path, StatusCode::FOUND, &**to)).collect();
    let api = Redirecting::serve(listener, &rows)?;
    for (path, status, to) in &rows {
        let response = idaas.send(http().get(format!("{}{path}", api.url))).await?;
        assert_eq!(redirect(&response), (*status, *to));
    }
    assert_eq!((api.take(), other.take()), (with_token(&paths, 1), vec![]));
    Ok(())
}
