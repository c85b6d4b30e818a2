//! Acts a behaviour out.

use bytes::Bytes;
use http::Response;

use super::answer::Answer;
use super::behaviour::{AnswerChange, Behaviour};
use super::body::AnswerBody;
use super::server::Connection;

/// A server whose answers behave as tests want.
pub(super) trait Stageable<R> {
    /// What the request deserves; a success with the change.
    fn judge(&self, request: R, change: Option<&AnswerChange>) -> Answer;

    /// A refusal that gives away what the request carried.
    fn echo(&self, request: R) -> Answer;
}

/// Answers the request with this behaviour.
pub(super) async fn perform<R>(
    behaviour: Behaviour,
    server: &impl Stageable<R>,
    request: R,
    connection: Connection,
) -> Response<AnswerBody> {
    match behaviour {
        Behaviour::Normal | Behaviour::Hold => server.judge(request, None).send(),
        Behaviour::Slow(pause) => {
            tokio::time::sleep(pause).await;
            server.judge(request, None).send()
        }
        Behaviour::Answer(answer) => answer.map(AnswerBody::whole),
        Behaviour::Change(change) => server.judge(request, Some(&change)).send(),
        Behaviour::Echo => server.echo(request).send(),
        Behaviour::CutMidBody => server
            .judge(request, None)
            .announce_length()
            .send_as(|content: Bytes| AnswerBody::cut(&content, connection)),
        Behaviour::Drip { interval, blanks } => {
            server.judge(request, None).send_as(|content| AnswerBody::dripping(content, interval, blanks))
        }
        Behaviour::HugeBody(blanks) => {
            server.judge(request, None).send_as(|content| AnswerBody::padded(content, blanks))
        }
        Behaviour::HangHandshake => std::future::pending().await,
    }
}
