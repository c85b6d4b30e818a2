//! Answers a request as a behaviour has it.

use bytes::Bytes;
use http::Response;

use super::answer::Answer;
use super::behaviour::{AnswerChange, Behaviour};
use super::body::AnswerBody;
use super::server::Connection;

/// `judge` gives what the request deserves, with a success changed if it is to be; `echo` gives the request's
/// credentials away.
pub(super) async fn act(
    behaviour: Behaviour,
    connection: Connection,
    echo: Answer,
    judge: impl FnOnce(Option<&AnswerChange>) -> Answer,
) -> Response<AnswerBody> {
    match behaviour {
        Behaviour::Normal | Behaviour::Hold => judge(None).send(),
        Behaviour::Slow(pause) => {
            tokio::time::sleep(pause).await;
            judge(None).send()
        }
        Behaviour::Answer(answer) => answer.map(AnswerBody::whole),
        Behaviour::Change(change) => judge(Some(&change)).send(),
        Behaviour::Echo => echo.send(),
        Behaviour::CutMidBody => {
            judge(None).announce_length().send_as(|content: Bytes| AnswerBody::cut(&content, connection))
        }
        Behaviour::Drip { interval, blanks } => {
            judge(None).send_as(|content| AnswerBody::dripping(content, interval, blanks))
        }
        Behaviour::HugeBody(blanks) => judge(None).send_as(|content| AnswerBody::padded(content, blanks)),
        Behaviour::HangHandshake => std::future::pending().await,
    }
}
