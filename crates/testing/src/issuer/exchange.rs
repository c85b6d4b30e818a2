//! Token exchange (RFC 8693): whose token it is, and who acts.

use crate::issuer::access_token::{Claims, Issuer};
use crate::issuer::form::Form;
use crate::issuer::refusal::Refusal;

pub(crate) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The form fields that only an exchange has.
pub(crate) const FIELDS: [&str; 5] =
    ["subject_token", "subject_token_type", "requested_token_type", "actor_token", "actor_token_type"];

pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// An exchange that may be made.
pub(crate) struct Exchange {
    /// Whom the issued token speaks of.
    pub(crate) subject: String,
    /// Who uses it; the client itself when there is no actor token.
    pub(crate) actor: Option<String>,
    pub(crate) issued_token_type: &'static str,
}

impl Exchange {
    /// Reads and verifies the fields of RFC 8693 section 2.1.
    pub(crate) fn verify(form: &Form, issuer: &Issuer, now: u64) -> Result<Self, Refusal> {
        let subject = token(form, "subject_token", "subject_token_type", issuer, now)?;
        let actor = match (form.get("actor_token"), form.get("actor_token_type")) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(Refusal::invalid_request("field `actor_token_type` is there without its token"));
            }
            (Some(_), _) => Some(token(form, "actor_token", "actor_token_type", issuer, now)?.subject),
        };
        let requested = form.get("requested_token_type").unwrap_or(ACCESS_TOKEN);
        expect_access_token("requested_token_type", requested)?;
        Ok(Self { subject: subject.subject, actor, issued_token_type: ACCESS_TOKEN })
    }
}

/// The claims of a token of this issuer's that lives.
fn token(form: &Form, field: &str, type_field: &str, issuer: &Issuer, now: u64) -> Result<Claims, Refusal> {
    let token = form.required(field)?;
    expect_access_token(type_field, form.required(type_field)?)?;
    let claims = issuer.verify(token).filter(|claims| claims.issuer == issuer.url());
    let claims = claims.ok_or_else(|| Refusal::invalid_request(format!("{field} is not of this issuer")))?;
    if claims.expires <= now {
        return Err(Refusal::invalid_request(format!("{field} is expired")));
    }
    Ok(claims)
}

/// The service exchanges access tokens for access tokens alone.
fn expect_access_token(field: &str, kind: &str) -> Result<(), Refusal> {
    match kind {
        ACCESS_TOKEN => Ok(()),
        _ => Err(Refusal::invalid_request(format!("{field} expected `{ACCESS_TOKEN}`"))),
    }
}
