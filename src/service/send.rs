//! For programs that use reqwest without Tower: sends a request of reqwest with a token.

use std::error::Error as StdError;
use std::fmt;

use ::reqwest::{Request, RequestBuilder, Response};
use http::header::AUTHORIZATION;

use crate::error::{Error, write_causes};
use crate::service::authorize::Authorized;
use crate::service::deadline::Deadline;
use crate::service::layer::IdaasLayer;
use crate::service::response::HttpResponse;
use crate::token::SubjectToken;

/// Why [`Idaas::send`](crate::Idaas::send) has no response.
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
#[non_exhaustive]
pub enum SendError {
    /// There was no token, or the destination may not get one. The request was not sent; after a 401, it was not sent
    /// again.
    Token(Error),
    /// Reqwest could not build the request, send it, or get the response.
    Http(::reqwest::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            Self::Http(error) => error.fmt(f),
        }
    }
}

/// What a `main` that returns the error prints: the message and the causes, a line each.
impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(error) => fmt::Debug::fmt(error, f),
            Self::Http(error) => {
                fmt::Display::fmt(error, f)?;
                write_causes(f, error)
            }
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

impl From<::reqwest::Error> for SendError {
    fn from(error: ::reqwest::Error) -> Self {
        Self::Http(error)
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
impl<P> IdaasLayer<P> {
    /// Sends a request of reqwest as [`Idaas::send`](crate::Idaas::send) does, with this layer's scope and to
    /// the destinations that it allows.
    ///
    /// ```
    /// # async fn example(idaas: tower_idaas::Idaas) -> Result<(), tower_idaas::BoxError> {
    /// let http = reqwest::Client::builder().redirect(tower_idaas::Idaas::redirect_policy()).build()?;
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
        self.send_as(None, request).await
    }

    /// The same on behalf of a caller: with a token for this layer's scope, exchanged for the caller's.
    ///
    /// # Errors
    ///
    /// As for [`Idaas::send`](crate::Idaas::send).
    pub async fn send_on_behalf_of(
        &self,
        subject: &SubjectToken,
        request: RequestBuilder,
    ) -> Result<Response, SendError> {
        self.send_as(Some(subject), request).await
    }

    async fn send_as(
        &self,
        subject: Option<&SubjectToken>,
        request: RequestBuilder,
    ) -> Result<Response, SendError> {
        let (client, request) = request.build_split();
        let mut request = request?;
        let again = clone_for_replay(&request);
        let deadline = Deadline::of(&mut request, self.shared.slot.clock());
        let authorized = self.shared.authorize(&mut request, subject).await?;
        let response = client.execute(request).await?;
        if !authorized.judges_rejected(&response) {
            return Ok(response);
        }
        let Some(mut again) = again else { return Ok(response) };
        if deadline.pass_on(&mut again).is_err() {
            return Ok(response);
        }
        // If its body was short, this frees the connection for the replay.
        drop(response);
        let authorized = self.shared.authorize(&mut again, subject).await?;
        let response = client.execute(again).await?;
        authorized.judges_rejected(&response);
        Ok(response)
    }
}

/// A clone, unless the body is a stream or the request cannot be replayed.
pub(super) fn clone_for_replay(request: &Request) -> Option<Request> {
    if request.headers().contains_key(AUTHORIZATION) { None } else { request.try_clone() }
}

impl Authorized {
    /// Reports the response, unless a redirect led to another origin: what that one says of the token does not count.
    pub(super) fn judges_rejected(&self, response: &Response) -> bool {
        self.left_with.as_ref().is_some_and(|left_with| response.is_from(left_with.origin))
            && self.report(response.status(), response.headers())
    }
}
