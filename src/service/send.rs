//! For those who use reqwest without Tower: a request of theirs, sent with a token.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http::header::AUTHORIZATION;
use reqwest::{Client, Request, RequestBuilder, Response};

use crate::cache::slot::Slot;
use crate::error::Error;
use crate::service::attach::authorize;
use crate::service::destination::Elsewhere;
use crate::service::layer::IdaasLayer;
use crate::service::request::HttpRequest;
use crate::service::response::HttpResponse;
use crate::telemetry;
use crate::token::{SubjectToken, Token};

/// Why [`Idaas::send`](crate::Idaas::send) has no response.
#[derive(Debug)]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
#[non_exhaustive]
pub enum SendError {
    /// No token was to be had, or the destination may not get one. The request was not sent; after a 401, it
    /// was not sent again.
    Token(Error),
    /// Reqwest could not build the request, send it, or get the response.
    Http(reqwest::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            Self::Http(error) => error.fmt(f),
        }
    }
}

impl StdError for SendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Token(error) => error.source(),
            Self::Http(error) => error.source(),
        }
    }
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        Self::Token(error)
    }
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error)
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
impl IdaasLayer {
    /// Sends a request of reqwest's as [`Idaas::send`](crate::Idaas::send) does, with this layer's scope and to
    /// the destinations that it allows.
    ///
    /// ```
    /// # async fn example(idaas: tower_idaas::Idaas) -> Result<(), tower_idaas::BoxError> {
    /// let http = reqwest::Client::new();
    /// let api = idaas.layer().scope(&"api://stock|read".parse()?).allow_origins(["https://stock.example.com"])?;
    /// let response = api.send(http.get("https://stock.example.com/tea")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Idaas::send`](crate::Idaas::send).
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, SendError> {
        self.send_from(&self.slot, request).await
    }

    /// The same on somebody's behalf: with a token for this layer's scope, exchanged for theirs.
    ///
    /// # Errors
    ///
    /// As for [`Idaas::send`](crate::Idaas::send).
    pub async fn send_on_behalf_of(
        &self,
        subject: &SubjectToken,
        request: RequestBuilder,
    ) -> Result<Response, SendError> {
        let slot = self.cache.exchange_slot(subject, &self.scope)?;
        self.send_from(&slot, request).await
    }

    async fn send_from(
        &self,
        slot: &Arc<Slot<Token>>,
        request: RequestBuilder,
    ) -> Result<Response, SendError> {
        let (client, request) = request.build_split();
        let request = request?;
        if request.headers().contains_key(AUTHORIZATION) {
            return Ok(client.execute(request).await?);
        }
        if let Err(unfit) = self.destinations.check(request.url()) {
            return match self.destinations.elsewhere {
                Elsewhere::Refused => Err(unfit.error(request.url()).into()),
                Elsewhere::WithoutToken => Ok(client.execute(request).await?),
            };
        }
        let again = request.try_clone();
        let last = match (attempt(&client, slot, request).await?, again) {
            (Attempt::Rejected(rejected), Some(again)) => {
                // Its connection is free for the next one.
                drop(rejected);
                attempt(&client, slot, again).await?
            }
            (attempt, _) => attempt,
        };
        Ok(last.into_response())
    }
}

enum Attempt {
    Answered(Response),
    /// The API rejects the token, which is withdrawn.
    Rejected(Response),
}

impl Attempt {
    fn into_response(self) -> Response {
        match self {
            Self::Answered(response) | Self::Rejected(response) => response,
        }
    }
}

async fn attempt(
    client: &Client,
    slot: &Arc<Slot<Token>>,
    mut request: Request,
) -> Result<Attempt, SendError> {
    let live = Arc::clone(slot).acquire().await?;
    let header = live.value.header_shard().ok_or_else(|| live.value.not_for_headers())?;
    authorize(&mut request, header);
    let origin = Response::origin(request.target());
    let response = client.execute(request).await?;
    // Where a redirect led elsewhere, the token did not go along.
    if response.status() != StatusCode::UNAUTHORIZED || !response.is_from(origin) {
        return Ok(Attempt::Answered(response));
    }
    header.invalidate();
    telemetry::unauthorized();
    Ok(Attempt::Rejected(response))
}
