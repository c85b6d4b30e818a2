//! The operation that obtains a credential stored in IDaaS: its request, and how its response is read.

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::aliyun::developer_api::Operation;
use crate::error::{Error, ErrorKind};
use crate::token::TokenResponse;
use crate::wire::call::{ApiResponse, text};
use crate::wire::profile::Refusal;
use crate::wire::redact::Redactor;

/// A type of credential.
pub(super) struct Content {
    /// `credentialType`.
    kind: &'static str,
    /// The member of `credentialContent`.
    member: &'static str,
    /// Its name with an article, for messages.
    label: &'static str,
    /// The method that returns this type.
    accessor: &'static str,
}

pub(super) static API_KEY: Content =
    Content { kind: "api_key", member: "apiKeyContent", label: "an API key", accessor: "Idaas::api_key" };

pub(super) static OAUTH_CLIENT: Content = Content {
    kind: "oauth_client",
    member: "oauthClientContent",
    label: "an OAuth client",
    accessor: "Idaas::oauth_client",
};

/// The operation that obtains the credential of this name.
pub(super) fn operation(name: &str) -> Operation<'static> {
    Operation {
        method: Method::GET,
        path: "/credentials/_/actions/obtain",
        query: vec![("credentialIdentifier", name.to_owned())],
        body: None,
        secrets: Vec::new(),
        subject: format!("credential {name}"),
        hint: &|refusal: &Refusal<'_>| {
            let is_disabled = refusal.code.to_ascii_lowercase().contains("disabled");
            (is_disabled || refusal.status == StatusCode::BAD_REQUEST).then(|| match is_disabled {
                true => "enable the credential in the IDaaS console".into(),
                false => "check the credential's identifier".into(),
            })
        },
    }
}

impl Content {
    /// The content of the credential.
    ///
    /// # Errors
    ///
    /// When the credential is disabled, or of another type.
    pub(super) fn of<'a>(
        &self,
        response: &'a ApiResponse<'_>,
        name: &str,
    ) -> Result<&'a Map<String, Value>, Error> {
        let refused = |problem: String| Err(response.refused(ErrorKind::Refused, &problem));
        if let Some(status) = text(&response.object, &["status"])
            && !status.eq_ignore_ascii_case("enabled")
        {
            let status = response.redactor().code(status);
            return refused(format!(
                "credential {name} is not enabled, its status is `{status}`; enable it in the IDaaS console"
            ));
        }
        let content = response.member("credentialContent")?;
        if let Some(Value::Object(content)) = content.get(self.member) {
            return Ok(content);
        }
        let Self { label, kind, member, .. } = self;
        let is = |other: &&&Self| {
            content.contains_key(other.member)
                || text(&response.object, &["credentialType"]) == Some(other.kind)
        };
        if let Some(other) = [&API_KEY, &OAUTH_CLIENT].iter().filter(|other| other.kind != *kind).find(is) {
            return refused(format!(
                "credential {name} is {}, not {label}; request it with `{}`",
                other.label, other.accessor
            ));
        }
        match text(&response.object, &["credentialType"]) {
            Some(other) if other != *kind => {
                let other = response.redactor().code(other);
                refused(format!("credential {name} is of type `{other}`, not {label}; request another one"))
            }
            _ => Err(response.unusable(&format!("its `credentialContent` carries no `{member}`"))),
        }
    }
}

/// The key in the response.
///
/// # Errors
///
/// When there is no usable key.
pub(super) fn read_api_key(response: &ApiResponse<'_>, name: &str) -> Result<TokenResponse, Error> {
    let content = API_KEY.of(response, name)?;
    let key = text(content, &["apiKey"]).unwrap_or_default();
    let value = TokenResponse::bearer(key).map_err(|_| {
        let problem = format!(
            "the key of credential {name} is empty or holds characters that no header may hold, such as a blank or a \
             line break; mend it in the IDaaS console"
        );
        response.refused(ErrorKind::Refused, &problem)
    })?;
    Ok(match response.request_id() {
        Some(id) => value.with_request_id(Redactor::new([key]).id(id)),
        None => value,
    })
}
