//! What servers keep of the requests that reached them.

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Uri};

use crate::server::endpoint::{Call, Record};

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
