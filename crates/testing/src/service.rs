//! The HTTP face of the test IDaaS: which path is what.

use http::{Method, StatusCode, request};

use super::answer::{Answer, Refused};
use super::behaviour::AnswerChange;
use super::desk::{Call, Desk};
use super::refusal::Refusal;
use super::token_endpoint::{TokenEndpoint, TokenRequest};

/// The path of the issuer, as the real thing has it.
pub(super) const ISSUER_PATH: &str = "/api/v2/iauths_system/oauth2";

/// What tokens are asked of and verified by.
pub(super) struct IdaasService {
    pub(super) endpoint: TokenEndpoint,
}

impl Desk for IdaasService {
    fn aside(&self, head: &request::Parts) -> Option<Answer> {
        match head.uri.path().strip_prefix(ISSUER_PATH) {
            Some("/token") => None,
            Some("/jwks") if head.method == Method::GET => {
                Some(Answer::json(StatusCode::OK, self.endpoint.issuer.key_set()))
            }
            _ => Some(Refusal::new(StatusCode::NOT_FOUND, "not_found", "nothing is here").into_answer()),
        }
    }

    fn judge(&self, call: &Call, change: Option<&AnswerChange>) -> Result<Answer, Refused> {
        Ok(Answer::success(self.endpoint.grant(TokenRequest::new(call))?, change))
    }

    fn echo(&self, call: &Call) -> Answer {
        Refusal::invalid_request(TokenRequest::new(call).echo()).into_answer()
    }
}
