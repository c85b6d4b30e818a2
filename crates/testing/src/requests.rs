//! What servers keep of the requests that reached them.

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method, Uri, Version};

use super::client_authentication::ClientAuthentication;
use super::desk::Call;

/// Something to keep of a request.
pub(super) trait Record: Send + Sync + 'static {
    fn of(call: &Call) -> Self;
}

/// One request that reached the token endpoint, without anything secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// The HTTP method.
    pub method: Method,
    /// The HTTP version.
    pub version: Version,
    /// How the client said who it is; `None` if it did not, or in several ways at once.
    pub client_authentication: Option<ClientAuthentication>,
    /// The form field `grant_type`.
    pub grant_type: Option<String>,
    /// The form field `scope`, as it came.
    pub scope: Option<String>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The names of the headers, each once, sorted.
    pub header_names: Vec<HeaderName>,
    /// The names of the form fields, in the order they came.
    pub field_names: Vec<String>,
}

/// One request that reached a server beside the token endpoint: the OpenAPI, the DeveloperAPI, STS, a
/// metadata service or a credentials URI.
///
/// It holds what came, credentials included. `Debug` shows none: of the parameters it has the names alone, and
/// headers with credentials are marked as sensitive.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServiceRequest {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    parameters: Vec<(String, String)>,
}

impl ServiceRequest {
    /// The value of a parameter, decoded, wherever it came: in the query or in a form. The first, if it came
    /// more than once.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The names of the parameters, in the order they came.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.as_str())
    }
}

impl Record for ServiceRequest {
    fn of(call: &Call) -> Self {
        let headers = &call.head.headers;
        let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
        let is_form = content_type.starts_with(b"application/x-www-form-urlencoded");
        let form = if is_form { call.body.as_ref() } else { b"" };
        let query = call.head.uri.query().unwrap_or_default();
        let parameters = [query.as_bytes(), form].into_iter().flat_map(form_urlencoded::parse);
        Self {
            method: call.head.method.clone(),
            uri: call.head.uri.clone(),
            headers: headers.clone(),
            parameters: parameters.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        }
    }
}

impl fmt::Debug for ServiceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceRequest")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("headers", &self.headers)
            .field("parameter_names", &self.parameter_names().collect::<Vec<_>>())
            .finish()
    }
}
