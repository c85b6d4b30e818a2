//! The call of the DeveloperAPI.

use std::fmt;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;

use crate::aliyun::cloud_role::answer::{self, Asked, Obtained};
use crate::aliyun::cloud_role::roles::RoleKey;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::token::Token;
use crate::transport::Transport;
use crate::wire::echo::without_echo;
use crate::wire::percent;

/// Asks for a role's credentials: `ObtainCloudAccountRoleAccessCredential`, version 2022-02-25.
pub(crate) struct DeveloperApi {
    /// Everything of the address before the query.
    address: String,
    transport: Transport,
    clock: Clock,
}

impl DeveloperApi {
    /// `endpoint` is a checked one, with or without a path.
    pub(crate) fn new(endpoint: &Uri, instance_id: &str, transport: Transport, clock: Clock) -> Self {
        let endpoint = endpoint.to_string();
        let address = format!(
            "{}/v2/{}/cloudAccountRoles/_/actions/obtainAccessCredential",
            endpoint.trim_end_matches('/'),
            percent::encoded(instance_id)
        );
        Self { address, transport, clock }
    }

    /// Makes one call.
    pub(super) async fn obtain(&self, key: &RoleKey, token: &Token) -> Result<Obtained, Error> {
        let request = self.request(key, token)?;
        let sent = self.clock.now();
        let answer = self.transport.send(request, &self.address).await;
        let answer = answer.map_err(|error| without_echo(error, [token.expose_token()]))?;
        let asked = Asked { address: &self.address, key, token: token.expose_token(), sent };
        answer::read(&answer, &asked, self.clock.now()).map_err(Error::of_issuer)
    }

    fn request(&self, key: &RoleKey, token: &Token) -> Result<Request<Full<Bytes>>, Error> {
        let mut uri = format!("{}?cloudAccountRoleExternalId={}", self.address, percent::encoded(&key.arn));
        if let Some(seconds) = key.session_seconds {
            uri.push_str(&format!("&durationSeconds={seconds}"));
        }
        Request::get(uri)
            .header(AUTHORIZATION, token.expose_authorization()?)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .body(Full::default())
            .map_err(|cause| {
                let message = format!(
                    "no request to {} can be made; check the role's ARN, it may be too long",
                    self.address
                );
                Error::new(ErrorKind::Refused, message).with_source(cause)
            })
    }
}

impl fmt::Debug for DeveloperApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeveloperApi").field("address", &self.address).finish_non_exhaustive()
    }
}
