//! The layer as a middleware of the crate `reqwest-middleware`.

use std::pin::Pin;
use std::time::Duration;

use ::reqwest::{Request, Response};
use ::reqwest_middleware::{Error, Middleware, Next, Result};
use http::{Extensions, HeaderMap};

use crate::service::deadline::Deadline;
use crate::service::layer::IdaasLayer;
use crate::service::request::HttpRequest;
use crate::service::sealed::Sealed;
use crate::service::send::clone_for_replay;
use crate::service::target::Target;

/// A layer is a middleware of `reqwest-middleware`, too: `ClientBuilder::new(client).with(idaas.layer())`.
///
/// It does what [`Idaas::send`](crate::Idaas::send) does, the replay after a rejection included. A
/// [`Scope`](crate::Scope), [`SubjectToken`](crate::SubjectToken) or [`NoToken`](crate::NoToken) that is set with
/// `RequestBuilder::with_extension` takes effect. Add it after middleware that retries, so that each attempt gets a
/// token that has not expired. Build the client with [`Idaas::redirect_policy`](crate::Idaas::redirect_policy), so that
/// no redirect takes the token to another origin. This crate's errors are in [`Error::Middleware`] and found by downcast.
///
/// ```
/// # async fn example(idaas: tower_idaas::Idaas) -> Result<(), tower_idaas::BoxError> {
/// let http = reqwest::Client::builder().redirect(tower_idaas::Idaas::redirect_policy()).build()?;
/// let client = reqwest_middleware::ClientBuilder::new(http).with(idaas.layer()).build();
/// let response = client.get("https://api.example.com/orders").send().await?;
/// # Ok(())
/// # }
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest-middleware")))]
impl<P: 'static> Middleware for IdaasLayer<P> {
    fn handle<'layer, 'extensions, 'next, 'handle>(
        &'layer self,
        request: Request,
        extensions: &'extensions mut Extensions,
        next: Next<'next>,
    ) -> Pin<Box<dyn Future<Output = Result<Response>> + Send + 'handle>>
    where
        'layer: 'handle,
        'extensions: 'handle,
        'next: 'handle,
        Self: 'handle,
    {
        Box::pin(async move {
            let mut request = request;
            let again = clone_for_replay(&request);
            let deadline = Deadline::of(&mut request, self.shared.slot.clock());
            let authorized = {
                let mut carried = Carried { request: &mut request, extensions: &*extensions };
                self.shared.authorize(&mut carried, None).await.map_err(Error::middleware)?
            };
            let response = next.clone().run(request, extensions).await?;
            if !authorized.judges_rejected(&response) {
                return Ok(response);
            }
            let Some(mut request) = again else { return Ok(response) };
            if deadline.pass_on(&mut request).is_err() {
                return Ok(response);
            }
            drop(response);
            let authorized = {
                let mut carried = Carried { request: &mut request, extensions: &*extensions };
                self.shared.authorize(&mut carried, None).await.map_err(Error::middleware)?
            };
            let response = next.run(request, extensions).await?;
            authorized.judges_rejected(&response);
            Ok(response)
        })
    }
}

/// A request of reqwest, with the extensions that the middleware passes beside it.
struct Carried<'a> {
    request: &'a mut Request,
    extensions: &'a Extensions,
}

impl Sealed for Carried<'_> {}

impl HttpRequest for Carried<'_> {
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }

    fn target(&self) -> Target<'_> {
        self.request.target()
    }

    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.get()
    }

    fn extension_count(&self) -> usize {
        self.extensions.len()
    }

    fn time_limit(&mut self) -> Option<Duration> {
        self.request.time_limit()
    }

    fn set_time_limit(&mut self, limit: Duration) {
        self.request.set_time_limit(limit);
    }
}
