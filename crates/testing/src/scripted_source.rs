//! A source of tokens under a script, without a server.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tower_idaas::{BoxFuture, Error, Scope, TokenResponse, TokenSource};

/// Of tokens that are made up, until [`ScriptedSource::set_life`].
const LIFE: Duration = Duration::from_secs(20 * 60);

/// A [`TokenSource`] under the control of a test: `token-1`, `token-2` and so on, responses of the test's own,
/// failures, or nothing until it is released. Clones are the same source.
///
/// ```
/// use tower_idaas::{Error, ErrorKind, Idaas, TokenResponse};
/// use tower_idaas_testing::ScriptedSource;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_idaas::BoxError> {
/// let source = ScriptedSource::new();
/// source.then(TokenResponse::bearer("the-first")?);
/// source.then_fail(Error::new(ErrorKind::Refused, "the script of the test says so"));
/// let idaas = Idaas::builder().scope("api://orders|read").token_source(source.clone()).build()?;
///
/// let token = idaas.token().await?;
/// assert_eq!(token.expose_token(), "the-first");
/// idaas.invalidate(&token);
/// assert!(idaas.token().await.is_err());
/// assert_eq!(source.fetches(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ScriptedSource(Arc<watch::Sender<Script>>);

struct Script {
    fetches: u64,
    holds: bool,
    life: Duration,
    /// For one fetch each; they come before the standing failure.
    next: VecDeque<Result<TokenResponse, Error>>,
    failure: Option<Error>,
    panics: bool,
}

impl Default for ScriptedSource {
    fn default() -> Self {
        Self::new()
    }
}

impl ScriptedSource {
    /// A source whose tokens live for 20 minutes.
    pub fn new() -> Self {
        let script = Script {
            fetches: 0,
            holds: false,
            life: LIFE,
            next: VecDeque::new(),
            failure: None,
            panics: false,
        };
        Self(Arc::new(watch::Sender::new(script)))
    }

    /// How many fetches have begun.
    pub fn fetches(&self) -> u64 {
        self.0.borrow().fetches
    }

    /// Returns when that many fetches have begun.
    pub async fn wait_for_fetches(&self, count: u64) {
        // Fails only when the sender is gone, which `self` owns.
        let _ = self.0.subscribe().wait_for(|script| script.fetches >= count).await;
    }

    /// Fetches wait from now on, until [`release`](Self::release).
    pub fn hold(&self) {
        self.0.send_modify(|script| script.holds = true);
    }

    /// Fetches that wait go on.
    pub fn release(&self) {
        self.0.send_modify(|script| script.holds = false);
    }

    /// The tokens that the source makes up (`token-1` and so on) live for this long from now on.
    pub fn set_life(&self, life: Duration) {
        self.0.send_modify(|script| script.life = life);
    }

    /// One fetch has this response, after those planned before.
    pub fn then(&self, response: TokenResponse) {
        self.0.send_modify(|script| script.next.push_back(Ok(response)));
    }

    /// One fetch fails so, after those planned before.
    pub fn then_fail(&self, error: Error) {
        self.0.send_modify(|script| script.next.push_back(Err(error)));
    }

    /// Fetches fail so from now on, until [`recover`](Self::recover).
    pub fn fail_with(&self, error: Error) {
        self.0.send_modify(|script| script.failure = Some(error));
    }

    /// Fetches panic from now on, until [`recover`](Self::recover).
    pub fn panic_from_now_on(&self) {
        self.0.send_modify(|script| script.panics = true);
    }

    /// Fetches succeed again.
    pub fn recover(&self) {
        self.0.send_modify(|script| (script.failure, script.panics) = (None, false));
    }
}

impl TokenSource for ScriptedSource {
    #[allow(clippy::panic, reason = "a test that asks for a panic gets one")]
    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            let mut number = 0;
            self.0.send_modify(|script| {
                script.fetches += 1;
                number = script.fetches;
            });
            let _ = self.0.subscribe().wait_for(|script| !script.holds).await;
            let (mut planned, mut panics) = (None, false);
            self.0.send_modify(|script| {
                panics = script.panics;
                planned = script.next.pop_front().or_else(|| script.failure.clone().map(Err));
            });
            assert!(!panics, "a panic that the test asked for");
            let life = self.0.borrow().life;
            match planned {
                Some(planned) => planned,
                None => Ok(TokenResponse::bearer(&format!("token-{number}"))?.with_expires_in(life)),
            }
        })
    }
}

impl fmt::Debug for ScriptedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.0.borrow();
        f.debug_struct("ScriptedSource")
            .field("fetches", &script.fetches)
            .field("holds", &script.holds)
            .field("planned", &script.next.len())
            .finish_non_exhaustive()
    }
}
