//! An API profile: the API's name in errors, the meaning of its codes, and hints for its refusals.

use std::fmt::Debug;

use http::StatusCode;

use crate::wire::redact::bounded;

/// The profile of a JSON API.
pub(crate) trait ApiProfile: Debug + Sync {
    /// The API's name in errors: "the token endpoint".
    fn name(&self) -> &'static str;

    /// The two possible contents of its responses.
    fn contents(&self) -> [&'static str; 2];

    /// Whether a request that was refused with this code may succeed later.
    fn is_transient(&self, code: &str) -> bool;

    /// The hint for a refusal that is not transient.
    fn hint(&self, refusal: &Refusal<'_>) -> String;

    /// What to do about a success that cannot be used.
    fn hint_of_unusable(&self) -> &'static str {
        "ask the issuer's support"
    }

    /// Whether a status without a readable reason is still a refusal, and the code it corresponds to. `basic` says
    /// whether the request had credentials in `Authorization: Basic`.
    fn refuses_by_status(&self, status: StatusCode, basic: bool) -> Option<Option<&'static str>> {
        let _ = (status, basic);
        None
    }

    /// Whether the API is behind the gateway of Alibaba Cloud's APIs, whose throttling has its own headers.
    fn has_gateway(&self) -> bool {
        false
    }
}

/// A server's refusal. `description` is the server's own text, only compared and never shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'a> {
    pub(crate) status: StatusCode,
    pub(crate) code: &'a str,
    pub(crate) description: &'a str,
    /// The scope of the call; may be empty.
    pub(crate) scope: &'a str,
}

/// The token endpoint of RFC 6749.
#[derive(Debug)]
pub(crate) struct OAuth {
    /// Whether a subject token is exchanged (RFC 8693).
    pub(crate) exchange: bool,
}

impl ApiProfile for OAuth {
    fn name(&self) -> &'static str {
        "the token endpoint"
    }

    fn contents(&self) -> [&'static str; 2] {
        ["a token", "an OAuth error"]
    }

    fn is_transient(&self, code: &str) -> bool {
        matches!(code, "temporarily_unavailable" | "server_error" | "slow_down")
    }

    fn hint(&self, refusal: &Refusal<'_>) -> String {
        let Refusal { code, description, .. } = *refusal;
        let scope = bounded(refusal.scope);
        let unauthorized_scope =
            description.to_ascii_lowercase().contains("not been authorized by resource server");
        match code {
            "invalid_client" | "invalid_client_credential" => {
                "check the client id and its credentials, that the secret or certificate has not expired, that \
                 authnMethod is the one that the application uses, and its federated credential if there is one"
                    .into()
            }
            "expired_token" | "invalid_grant" | "invalid_request" if self.exchange => {
                "check the subject token: it must be unexpired, not revoked, and an access token of the same issuer for \
                 this application; the client's own credentials were not at fault"
                    .into()
            }
            "expired_token" => "check this machine's clock, and the credential that the request was made with".into(),
            "operation_denied_by_license" => {
                "check the licence of the IDaaS instance in the console: it does not include this".into()
            }
            "scope_not_found" => {
                format!("check that a resource server with `{scope}` exists in this IDaaS instance")
            }
            "invalid_audience" | "invalid_target" => {
                format!("check the audience in `{scope}`, and `audience` of the federated credential if there is one")
            }
            _ if unauthorized_scope => {
                format!("check that the resource server has authorized the application for `{scope}`")
            }
            "unauthorized_client" | "unsupported_grant_type" if self.exchange => {
                format!("check that token exchange is enabled for the application, and that it is granted `{scope}`")
            }
            "invalid_scope" | "unauthorized_client" | "access_denied" => {
                format!("check that the application is granted `{scope}`")
            }
            _ if refusal.status == StatusCode::NOT_FOUND => {
                "check the address of the token endpoint".into()
            }
            _ => "check the configuration".into(),
        }
    }

    /// RFC 6749 section 5.2: 401 is the status for a client that authenticated by `Authorization`.
    fn refuses_by_status(&self, status: StatusCode, basic: bool) -> Option<Option<&'static str>> {
        (basic && status == StatusCode::UNAUTHORIZED).then_some(Some("invalid_client"))
    }
}
