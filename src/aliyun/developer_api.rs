//! Calls of the DeveloperAPI of IDaaS, version 2022-02-25: JSON under `/v2/{instance}`, with an access token.

use std::fmt;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use crate::aliyun::profile::is_transient;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::token::Token;
use crate::transport::{SingleUse, Transport};
use crate::wire::call::{ApiCall, ApiResponse};
use crate::wire::percent;
use crate::wire::profile::{ApiProfile, Refusal};
use crate::wire::redact::bounded;

/// The DeveloperAPI of one instance.
pub(crate) struct DeveloperApi {
    /// `https://host/v2/{instance}`
    address: String,
    transport: Transport,
    clock: Clock,
}

/// One operation with its parameters.
pub(crate) struct Operation<'a> {
    pub(crate) method: Method,
    /// The path after the instance: `/credentials/_/actions/obtain`.
    pub(crate) path: &'static str,
    pub(crate) query: Vec<(&'static str, String)>,
    /// The JSON text.
    pub(crate) body: Option<String>,
    /// Values in the body that must not be shown.
    pub(crate) secrets: Vec<&'a str>,
    /// The target of the call, for messages: "role acs:ram::1:role/a". Neither it nor the values of the query are
    /// secret.
    pub(crate) subject: String,
    /// The hint when the server does not know the target, or refuses the call for another reason.
    pub(crate) hint: &'a (dyn Fn(&Refusal<'_>) -> Option<String> + Sync),
}

impl DeveloperApi {
    /// `endpoint` has passed its check; its path is optional.
    pub(crate) fn new(endpoint: &Uri, instance_id: &str, transport: Transport, clock: Clock) -> Self {
        let endpoint = endpoint.to_string();
        let address = format!("{}/v2/{}", endpoint.trim_end_matches('/'), percent::encoded(instance_id));
        Self { address, transport, clock }
    }

    /// Makes one call with this token, and passes a success to `read`.
    ///
    /// # Errors
    ///
    /// When the call fails on the way, the server refuses it, or `read` cannot use the response.
    pub(crate) async fn send<T>(
        &self,
        operation: &Operation<'_>,
        token: &Token,
        read: impl FnOnce(&ApiResponse<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let endpoint = format!("{}{}", self.address, operation.path);
        let mut request = operation.request(&endpoint, token)?;
        if operation.body.is_some() {
            // It may open a session for a user's consent. The server may be slow and have received it although an idle
            // connection seems stale, so it goes on one that cannot be.
            SingleUse::on_new_connection().mark(&mut request);
        }
        let public = operation.query.iter().map(|(_, value)| value.as_str());
        let scope = token.scope().as_str();
        let secrets = operation.secrets.iter().copied().chain([token.expose_token()]);
        let call = ApiCall::new(operation, &endpoint, scope, &self.clock, secrets)
            .with_public(public.chain([operation.subject.as_str()]));
        let response = call.send(request, |request| self.transport.send(request, &endpoint)).await;
        read(&response.map_err(Error::of_issuer)?).map_err(Error::of_issuer)
    }
}

impl Operation<'_> {
    fn request(&self, endpoint: &str, token: &Token) -> Result<Request<Full<Bytes>>, Error> {
        let pairs = self.query.iter().map(|(name, value)| format!("{name}={}", percent::encoded(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        let uri = if query.is_empty() { endpoint.to_owned() } else { format!("{endpoint}?{query}") };
        let mut request = Request::builder()
            .method(&self.method)
            .uri(uri)
            .body(Full::from(self.body.clone().unwrap_or_default()))
            .map_err(|cause| {
                let message = format!(
                    "no request to {endpoint} can be made; check {}, it may be too long",
                    self.subject
                );
                Error::new(ErrorKind::Refused, message).with_source(cause)
            })?;
        request.headers_mut().insert(AUTHORIZATION, token.expose_authorization()?);
        if self.body.is_some() {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            request.headers_mut().insert(CONTENT_TYPE, json);
        }
        Ok(request)
    }
}

impl ApiProfile for Operation<'_> {
    fn name(&self) -> &'static str {
        "the DeveloperAPI"
    }

    fn contents(&self) -> [&'static str; 2] {
        ["a result", "an error of the DeveloperAPI"]
    }

    fn is_transient(&self, code: &str) -> bool {
        matches!(code, "temporarily_unavailable" | "server_error" | "slow_down") || is_transient(code)
    }

    fn hint_of_unusable(&self) -> &'static str {
        "check this machine's clock and `developerApiEndpoint`, or ask the support of IDaaS"
    }

    fn hint(&self, refusal: &Refusal<'_>) -> String {
        let (scope, subject) = (bounded(refusal.scope), &self.subject);
        if let Some(hint) = (self.hint)(refusal) {
            return hint;
        }
        match refusal.status {
            _ if refusal.code == "operation_denied_by_license" => {
                "check the licence of the IDaaS instance in the console: it does not include this".into()
            }
            StatusCode::UNAUTHORIZED => format!("check that the application is granted `{scope}`"),
            StatusCode::FORBIDDEN => {
                format!("check that the application is granted {subject}, and scope `{scope}`")
            }
            StatusCode::NOT_FOUND => {
                format!("check that IDaaS knows {subject}, and check `idaasInstanceId`")
            }
            _ => format!("check {subject}"),
        }
    }

    /// These statuses are definitive even when the response has no readable reason.
    fn refuses_by_status(&self, status: StatusCode, _basic: bool) -> Option<Option<&'static str>> {
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND]
            .contains(&status)
            .then_some(None)
    }

    fn has_gateway(&self) -> bool {
        true
    }
}

impl fmt::Debug for DeveloperApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeveloperApi").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("path", &self.path)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}
