//! What the servers have in common: a request is logged, meets a behaviour of the script, and gets a response.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::server::behaviour::{Behaviour, ResponseChange};
use crate::server::body::ResponseBody;
use crate::server::connection::Connection;
use crate::server::listener::Handler;
use crate::server::response::{self, Refused};
use crate::server::script::Script;
use tower_idaas::BoxFuture;

/// No honest request is larger.
const LARGEST_BODY: usize = 1024 * 1024;

/// The headers that credentials travel in.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "x-acs-security-token",
    "x-aliyun-ecs-metadata-token",
    "x-amz-security-token",
    "x-aws-ec2-metadata-token",
    "x-oss-security-token",
];

/// An interim response (RFC 9110 section 15.2) that means nothing.
const INTERIM: &[u8] = b"HTTP/1.1 102 Processing\r\n\r\n";

/// The part of a server that is its own.
pub(crate) trait Endpoint: Send + Sync + 'static {
    /// A response that no behaviour touches and no log mentions.
    fn unscripted(&self, _head: &request::Parts) -> Option<Response<Bytes>> {
        None
    }

    /// What the request deserves: a success, with the change if there is one, or else a refusal.
    fn respond(&self, call: &Call, change: Option<&ResponseChange>) -> Result<Response<Bytes>, Refused>;

    /// A refusal that gives away what came.
    fn echo(&self, call: &Call) -> Response<Bytes>;
}

/// Something to keep of a request.
pub(crate) trait Record: Send + Sync + 'static {
    fn of(call: &Call) -> Self;
}

/// A request, read to its end, with its credentials marked as sensitive.
pub(crate) struct Call {
    pub(crate) head: request::Parts,
    pub(crate) body: Bytes,
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

/// An endpoint under a script.
pub(crate) struct Scripted<E, R> {
    pub(crate) endpoint: Arc<E>,
    pub(crate) script: Arc<Script<R>>,
}

impl<E: Endpoint, R: Record> Handler for Scripted<E, R> {
    fn serves_next_connection(&self) -> bool {
        !self.script.hangs_next_connection()
    }

    fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Connection,
    ) -> BoxFuture<'static, Response<ResponseBody>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            if let Some(response) = self.endpoint.unscripted(&head) {
                return response.map(ResponseBody::whole);
            }
            let Some(call) = Call::read(head, body).await else {
                return response::text(StatusCode::PAYLOAD_TOO_LARGE, Bytes::new()).map(ResponseBody::whole);
            };
            self.script.log.write(|entries| entries.received.push(R::of(&call)));
            let behaviour = self.script.next().await;
            self.act(behaviour, &call, connection).await
        })
    }
}

impl<E: Endpoint, R: Record> Scripted<E, R> {
    /// What the request deserves, counted.
    fn normal(&self, call: &Call, change: Option<&ResponseChange>) -> Response<Bytes> {
        let result = self.endpoint.respond(call, change);
        self.script.log.write(|entries| match result {
            Ok(_) => entries.granted += 1,
            Err(_) => entries.rejected += 1,
        });
        result.unwrap_or_else(|refused| *refused.0)
    }

    /// Responds as the behaviour says.
    async fn act(&self, behaviour: Behaviour, call: &Call, connection: Connection) -> Response<ResponseBody> {
        let normal = || self.normal(call, None);
        match behaviour {
            Behaviour::Normal | Behaviour::Hold => normal().map(ResponseBody::whole),
            Behaviour::Slow(pause) => {
                tokio::time::sleep(pause).await;
                normal().map(ResponseBody::whole)
            }
            Behaviour::Respond(response) => response.map(ResponseBody::whole),
            Behaviour::Change(change) => {
                let mut response = self.normal(call, Some(&change));
                change.apply_to_response(&mut response);
                response.map(ResponseBody::whole)
            }
            Behaviour::Echo => self.endpoint.echo(call).map(ResponseBody::whole),
            Behaviour::CutMidBody => {
                response::announce_length(normal()).map(|content| ResponseBody::cut(&content, connection))
            }
            Behaviour::Drip { interval, blanks } => {
                normal().map(|content| ResponseBody::dripping(content, interval, blanks))
            }
            Behaviour::HugeBody(blanks) => normal().map(|content| ResponseBody::padded(content, blanks)),
            Behaviour::HangHandshake => std::future::pending().await,
            Behaviour::Raw(bytes) => {
                connection.write_instead(bytes);
                Response::new(ResponseBody::whole(Bytes::new()))
            }
            Behaviour::FoldedHeaders => {
                connection.write_instead(response::folded(&normal()));
                Response::new(ResponseBody::whole(Bytes::new()))
            }
            Behaviour::Interim(count) => {
                connection.write_before(INTERIM.repeat(count).into());
                normal().map(ResponseBody::whole)
            }
        }
    }
}
