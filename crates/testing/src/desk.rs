//! What the servers have in common: a request is recorded, meets a behaviour, and is judged.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::act;
use super::answer::{Answer, Refused};
use super::behaviour::AnswerChange;
use super::body::AnswerBody;
use super::open_api_refusal::OpenApiRefusal;
use super::requests::Record;
use super::server::{Connection, Handler};
use super::stage::Stage;
use tower_idaas::BoxFuture;

/// No honest request is larger.
const LARGEST_BODY: usize = 1024 * 1024;

/// The headers that credentials travel in.
const CREDENTIALS: [&str; 4] =
    ["authorization", "x-acs-security-token", "x-aliyun-ecs-metadata-token", "x-aws-ec2-metadata-token"];

/// The part of a server that is its own.
pub(super) trait Desk: Send + Sync + 'static {
    /// An answer that no behaviour touches and no record mentions.
    fn aside(&self, _head: &request::Parts) -> Option<Answer> {
        None
    }

    /// What the request deserves: a success, changed if it is to be, or else a refusal.
    fn judge(&self, call: &Call, change: Option<&AnswerChange>) -> Result<Answer, Refused>;

    /// A refusal that gives away what came.
    fn echo(&self, call: &Call) -> Answer {
        OpenApiRefusal::echo(&call.head).into_answer()
    }
}

/// A request, read to its end, with its credentials marked as sensitive.
pub(super) struct Call {
    pub(super) head: request::Parts,
    pub(super) body: Bytes,
}

impl Call {
    /// Nothing if it is too large, or breaks off.
    async fn read(mut head: request::Parts, body: Incoming) -> Option<Self> {
        for (name, value) in &mut head.headers {
            if CREDENTIALS.contains(&name.as_str()) {
                value.set_sensitive(true);
            }
        }
        let body = Limited::new(body, LARGEST_BODY).collect().await.ok()?.to_bytes();
        Some(Self { head, body })
    }
}

/// Serves a desk's judgements, or what the script has in their place.
pub(super) struct Scripted<D, R> {
    pub(super) desk: Arc<D>,
    pub(super) stage: Arc<Stage<R>>,
}

impl<D: Desk, R: Record> Handler for Scripted<D, R> {
    fn serves_next_connection(&self) -> bool {
        !self.stage.hangs_next_connection()
    }

    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Connection,
    ) -> BoxFuture<'static, Response<AnswerBody>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            if let Some(answer) = self.desk.aside(&head) {
                return answer.send();
            }
            let Some(call) = Call::read(head, body).await else {
                return Answer::text(StatusCode::PAYLOAD_TOO_LARGE, Bytes::new()).send();
            };
            self.stage.ledger.write(|entries| entries.received.push(R::of(&call)));
            let behaviour = self.stage.next().await;
            act::act(behaviour, connection, self.desk.echo(&call), |change| self.judge(&call, change)).await
        })
    }
}

impl<D: Desk, R: Record> Scripted<D, R> {
    fn judge(&self, call: &Call, change: Option<&AnswerChange>) -> Answer {
        let verdict = self.desk.judge(call, change);
        self.stage.ledger.write(|entries| match verdict {
            Ok(_) => entries.granted += 1,
            Err(_) => entries.rejected += 1,
        });
        verdict.unwrap_or_else(|refused| *refused.0)
    }
}
