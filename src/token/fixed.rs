//! One token that a test made up, for every scope and subject and for ever.

use std::sync::Arc;
use std::time::Duration;

use super::live::{Attention, Live};
use super::window::Window;
use super::{Settings, Token, TokenCache, TokenResponse, TokenSource};
use crate::BoxFuture;
use crate::clock::{Clock, Moment};
use crate::error::{Error, ErrorKind};
use crate::scope::Scope;
use crate::telemetry::Telemetry;

/// The end of time.
const NEVER: Moment = Moment { monotonic: u64::MAX, wall: u64::MAX };

impl TokenCache {
    /// A cache that holds this token and never asks for another.
    ///
    /// # Errors
    ///
    /// When no header can hold the token.
    pub(crate) fn fixed(token: &str) -> Result<Self, Error> {
        let response = TokenResponse::bearer(token)?;
        let scope = Scope::parse("api://test|read").map_err(|fault| Error::new(ErrorKind::Runtime, fault))?;
        // Who withdraws the token withdraws this; the slot watches its own.
        let withdrawn_in_vain = Arc::new(Attention::new());
        let token = Token::new(response.clone(), scope.clone(), NEVER.system_time(), withdrawn_in_vain);
        let endless = Window { advisory: NEVER, mandatory: NEVER, dead: NEVER };
        let live = Live::new(token, endless, Arc::new(Attention::new()));

        let wait = Duration::ZERO;
        let settings = Settings {
            clock: Clock::default(),
            wait,
            flight: wait,
            gate: Arc::default(),
            telemetry: Telemetry::new("", "fixed"),
        };
        let mut cache = Self::new(Arc::new(Fixed(response)), None, scope, settings);
        cache.fixed = true;
        cache.default_slot().hold(live);
        Ok(cache)
    }
}

/// The source that would be asked, if one ever were.
#[derive(Debug)]
struct Fixed(TokenResponse);

impl TokenSource for Fixed {
    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}
