//! The HTTP face of the test IDaaS: which path is what, and the behaviours.

use std::sync::Arc;

use http::header::DATE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::act;
use super::answer::Answer;
use super::behaviour::AnswerChange;
use super::body::AnswerBody;
use super::ledger::Ledger;
use super::refusal::Refusal;
use super::server::{Connection, Handler};
use super::stage::Stage;
use super::token_endpoint::{TokenEndpoint, TokenRequest};
use crate::BoxFuture;

/// The path of the issuer, as the real thing has it.
pub(super) const ISSUER_PATH: &str = "/api/v2/iauths_system/oauth2";

/// No honest token request is larger.
const LARGEST_REQUEST: usize = 1024 * 1024;

pub(super) struct IdaasService {
    pub(super) endpoint: TokenEndpoint,
    pub(super) stage: Stage,
    pub(super) ledger: Ledger,
}

impl Handler for IdaasService {
    fn serves_next_connection(&self) -> bool {
        !self.stage.hangs_next_connection()
    }

    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Connection,
    ) -> BoxFuture<'static, Response<AnswerBody>> {
        Box::pin(async move {
            let mut response = match request.uri().path().strip_prefix(ISSUER_PATH) {
                Some("/token") => self.token(request, connection).await,
                Some("/jwks") if request.method() == Method::GET => {
                    Answer::json(StatusCode::OK, self.endpoint.issuer.key_set()).send()
                }
                _ => {
                    let refusal = Refusal::new(StatusCode::NOT_FOUND, "not_found", "nothing is here");
                    refusal.into_answer().send()
                }
            };
            // By the clock that tokens are issued by; the server's own is the machine's.
            let date = httpdate::fmt_http_date(self.endpoint.clock.now().system_time());
            if let Ok(date) = HeaderValue::try_from(date) {
                response.headers_mut().entry(DATE).or_insert(date);
            }
            response
        })
    }
}

impl IdaasService {
    async fn token(&self, request: Request<Incoming>, connection: Connection) -> Response<AnswerBody> {
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, LARGEST_REQUEST).collect().await {
            Ok(body) => body.to_bytes(),
            Err(fault) => return self.refuse(Refusal::invalid_request(fault.to_string())).send(),
        };
        let request = TokenRequest::new(head, body);
        self.ledger.write(|entries| entries.received.push(request.describe()));

        let behaviour = self.stage.next(&self.ledger).await;
        let echo = Refusal::invalid_request(request.echo()).into_answer();
        act::act(behaviour, connection, echo, |change| self.judge(request, change)).await
    }

    /// What the request deserves.
    fn judge(&self, request: TokenRequest, change: Option<&AnswerChange>) -> Answer {
        match self.endpoint.grant(request) {
            Ok(mut answer) => {
                self.ledger.write(|entries| entries.issued += 1);
                if let Some(change) = change {
                    change.apply(&mut answer);
                }
                Answer::json(StatusCode::OK, &Value::Object(answer))
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        self.ledger.write(|entries| entries.rejected += 1);
        refusal.into_answer()
    }
}
