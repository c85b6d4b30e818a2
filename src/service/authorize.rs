//! The layer's work for a client that is no Tower service.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::error::Error;
use crate::service::deadline::Deadline;
use crate::service::layer::IdaasLayer;
use crate::service::rejection::LeftWith;
use crate::service::request::HttpRequest;
use crate::service::shared::Shared;
use crate::token::SubjectToken;

impl<P> IdaasLayer<P> {
    /// Puts a token on a request, for an adapter of any client that is no Tower service: checks the destination, takes
    /// the scope, subject token and [`NoToken`](crate::NoToken) of the request's extensions into account, waits for a
    /// token where it must, and keeps an `Authorization` header that the caller set.
    ///
    /// The request is an `http::Request`, its `http::request::Parts`, a `reqwest::Request`, or the pair of its URI and
    /// its headers. Report the response to the returned `Authorized`, so that a rejected token is replaced:
    ///
    /// ```
    /// # async fn example(idaas: tower_idaas::Idaas) -> Result<(), tower_idaas::Error> {
    /// # use http::{HeaderMap, StatusCode, Uri};
    /// let layer = idaas.layer();
    /// let uri = Uri::from_static("https://api.example.com/orders");
    /// let mut headers = HeaderMap::new();
    /// let authorized = layer.authorize(&mut (&uri, &mut headers)).await?;
    /// // … the client sends the request with these headers, and the response is there:
    /// let (status, response_headers) = (StatusCode::OK, HeaderMap::new());
    /// if authorized.report(status, &response_headers) {
    ///     // The token was rejected, and another one can be fetched: the request may be sent once more.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A client that follows redirects must remove the header on the way to another origin, and must not put it back on.
    /// Reqwest's own policy does: see `Idaas::redirect_policy`.
    ///
    /// # Errors
    ///
    /// As for [`Idaas::token`](crate::Idaas::token), and when the destination may not get a token
    /// ([`ErrorKind::Destination`](crate::ErrorKind::Destination)), unless the layer sends such requests [without
    /// one](Self::without_token_elsewhere). A request with a time limit of its own (reqwest's time-out, `grpc-timeout`)
    /// fails with [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) when the limit is over; otherwise its limit becomes
    /// what is left of it.
    pub async fn authorize<R: HttpRequest>(&self, request: &mut R) -> Result<Authorized, Error> {
        self.shared.authorize(request, None).await
    }
}

impl Shared {
    pub(super) async fn authorize<R: HttpRequest>(
        &self,
        request: &mut R,
        subject: Option<&SubjectToken>,
    ) -> Result<Authorized, Error> {
        let Some(slot) = self.slot_for(request, subject)? else { return Ok(Authorized::without()) };
        let deadline = Deadline::of(request, slot.clock());
        let token = deadline.clone().bound(Arc::clone(&slot), Arc::clone(&slot).acquire()).await?;
        let header = token.value.header_shard().cloned().ok_or_else(|| token.value.not_for_headers())?;
        deadline.pass_on(request)?;
        Ok(Authorized { left_with: self.attach(request, header, true), grpc: self.grpc })
    }
}

/// A request that [`IdaasLayer::authorize`] has handled, with a token or without one.
#[must_use = "a response that rejects the token is reported to it"]
pub struct Authorized {
    pub(super) left_with: Option<LeftWith>,
    /// Whether `grpc-status: 16` in a response's headers rejects the token.
    pub(super) grpc: bool,
}

impl Authorized {
    pub(super) fn without() -> Self {
        Self { left_with: None, grpc: false }
    }

    /// Whether the request has the layer's token. It has none when the caller set an `Authorization` header or
    /// [`NoToken`](crate::NoToken), or when the destination may not get one.
    pub fn has_token(&self) -> bool {
        self.left_with.is_some()
    }

    /// Reports the response, which the layer's [classifier](IdaasLayer::rejection_classifier) judges, else
    /// [`rejects_token`](super::rejects_token), and for a [gRPC](IdaasLayer::grpc) layer also `grpc-status: 16` among
    /// the headers. True when the token was rejected and the next request gets another
    /// one, so that it makes sense to send this one again.
    pub fn report(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.left_with.as_ref().is_some_and(|left_with| left_with.report(self.grpc, status, headers))
    }

    /// Reports that the API rejected the token, by the caller's own judgement. Returns what
    /// [`report`](Self::report) returns.
    pub fn reject(&self) -> bool {
        self.left_with.as_ref().is_some_and(LeftWith::reject)
    }
}

impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized").field("has_token", &self.has_token()).finish()
    }
}
