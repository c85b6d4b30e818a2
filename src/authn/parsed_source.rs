//! A value parsed from a text, cached while the text stays the same.
//!
//! A [`ParsedSource`] is a [`SecretSource`] with the value parsed from its text: a private key, certificates. Text that
//! cannot be parsed counts as a fault of its file, so that the last good text stands in while a new one is written.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use crate::authn::{CheckContext, TokenRequest};
use crate::error::{Error, ErrorKind};
use crate::secret::{Content, Expected, SecretSource};

/// A source whose text is parsed when it changes.
pub(crate) struct ParsedSource<T> {
    source: SecretSource,
    content: Content,
    parsed: Arc<Cached<T>>,
}

impl<T: Send + Sync> ParsedSource<T> {
    pub(crate) fn new(source: SecretSource, content: Content) -> Self {
        Self { source, content, parsed: Arc::new(Cached::new()) }
    }

    /// The place of the text, for messages.
    pub(crate) fn name(&self) -> String {
        self.source.name()
    }

    /// The value of the current text. An error of `parse` is the rest of a sentence that begins with the text's place.
    pub(crate) async fn read(
        &self,
        request: &mut TokenRequest,
        parse: impl Fn(&str) -> Result<T, String> + Send + Sync,
    ) -> Result<Arc<T>, Error> {
        let check = |text: &str| self.parse(text, &parse).map(drop);
        let expected = Expected { content: self.content, check: &check };
        let text = request.read_expected(&self.source, expected).await?;
        self.parse(text.expose_secret(), &parse).map_err(|problem| self.unusable(&problem))
    }

    /// The same when a handle is built; `None` if only a function can return the text.
    pub(crate) fn read_blocking(
        &self,
        context: &CheckContext<'_>,
        parse: impl Fn(&str) -> Result<T, String> + Send + Sync,
    ) -> Result<Option<Arc<T>>, Error> {
        let check = |text: &str| self.parse(text, &parse).map(drop);
        let expected = Expected { content: self.content, check: &check };
        let Some(text) = self.source.read_expected_blocking(context.environment(), expected)? else {
            return Ok(None);
        };
        self.parse(text.expose_secret(), &parse).map(Some).map_err(|problem| self.unusable(&problem))
    }

    fn parse(&self, text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Arc<T>, String> {
        self.parsed.get(&[text], || parse(text))
    }

    fn unusable(&self, problem: &str) -> Error {
        Error::new(ErrorKind::Credential, format!("{} {problem}", self.name()))
    }
}

impl<T> Clone for ParsedSource<T> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), content: self.content, parsed: Arc::clone(&self.parsed) }
    }
}

impl<T> fmt::Debug for ParsedSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// Stores only a keyed hash of the text, so that no second copy of a secret exists.
struct Cached<T> {
    hasher: RandomState,
    last: Mutex<Option<(u64, Arc<T>)>>,
}

impl<T> Cached<T> {
    fn new() -> Self {
        Self { hasher: RandomState::new(), last: Mutex::new(None) }
    }

    /// The value made from these texts; made again only when they differ from the last ones.
    fn get<E>(&self, texts: &[&str], make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let hash = self.hasher.hash_one(texts);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, made)) = last.filter(|(of, _)| *of == hash) {
            return Ok(made);
        }
        let made = Arc::new(make()?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((hash, Arc::clone(&made)));
        Ok(made)
    }
}

impl<T> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_same_text_is_read_once_and_another_one_anew() {
        let cached = Cached::new();
        let mut made = 0;
        let mut get = |texts: &[&str]| {
            let length = cached.get(texts, || {
                made += 1;
                Ok::<_, Infallible>(texts.concat())
            });
            length.unwrap().to_string()
        };
        for texts in [&["a", "b"][..], &["a", "b"], &["ab"], &["ab"], &["c"]] {
            assert_eq!(get(texts), texts.concat());
        }
        assert_eq!(made, 3);
    }

    #[test]
    fn a_text_that_cannot_be_read_leaves_what_was_made_before() {
        let cached = Cached::new();
        cached.get(&["a"], || Ok::<_, ()>(1)).unwrap();
        cached.get(&["b"], || Err(())).unwrap_err();
        assert_eq!(cached.get(&["a"], || Err(())), Ok(Arc::new(1)));
    }
}
