//! What is known of an API beforehand: how errors speak of it, what its codes mean, and what to do about them.

use std::fmt::Debug;

use http::StatusCode;

/// A JSON API.
pub(crate) trait ApiProfile: Debug + Sync {
    /// How errors call it: "the token endpoint".
    fn name(&self) -> &'static str;

    /// What every response of it holds: one thing or the other.
    fn contents(&self) -> [&'static str; 2];

    /// Whether a request that was refused with this code may succeed later.
    fn is_transient(&self, code: &str) -> bool;

    /// What to do about a refusal that does not pass by itself.
    fn hint(&self, refusal: &Refusal<'_>) -> String;

    /// Whether a status without a readable reason is a refusal all the same, and which code it amounts to.
    /// `basic` tells whether the request had credentials in `Authorization: Basic`.
    fn refuses_by_status(&self, status: StatusCode, basic: bool) -> Option<Option<&'static str>> {
        let _ = (status, basic);
        None
    }

    /// Whether it stands behind the gateway of Alibaba Cloud's APIs, whose throttling has headers of its own.
    fn has_gateway(&self) -> bool {
        false
    }
}

/// What a server said when it refused. `description` is the server's own text, to be compared with and not shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'a> {
    pub(crate) status: StatusCode,
    pub(crate) code: &'a str,
    pub(crate) description: &'a str,
    /// What the call was about; may be empty.
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
        let Refusal { code, scope, description, .. } = *refusal;
        let unauthorized_scope =
            description.to_ascii_lowercase().contains("not been authorized by resource server");
        match code {
            "invalid_client" | "invalid_client_credential" => {
                "check the client id and its credentials, that the secret has not expired, and that authnMethod is the \
                 one that the application uses"
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
            "invalid_scope" | "unauthorized_client" | "access_denied" => {
                format!("check that the application is granted `{scope}`")
            }
            _ if unauthorized_scope => {
                format!("check that the resource server has authorized the application for `{scope}`")
            }
            "unsupported_grant_type" if self.exchange => {
                "check that token exchange is enabled for the application".into()
            }
            _ => "check the configuration".into(),
        }
    }

    /// RFC 6749 section 5.2: 401 is the status for a client that tried to authenticate by `Authorization`.
    fn refuses_by_status(&self, status: StatusCode, basic: bool) -> Option<Option<&'static str>> {
        (basic && status == StatusCode::UNAUTHORIZED).then_some(Some("invalid_client"))
    }
}
