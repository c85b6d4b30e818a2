//! A value parsed from a text, cached while the text stays the same.
//!
//! A [`ParsedSource`] is a [`SecretSource`] with the value parsed from its text: a private key, certificates. Text that
//! cannot be parsed counts as a fault of its file, so that the last good text stands in while a new one is written.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::authn::{CheckContext, TokenRequest};
use crate::error::{Error, ErrorKind};
use crate::secret::{Content, Expected, Secret, SecretSource};

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

    /// The value of the current text, and of the passphrase that `parse` takes, if it takes one. An error of `parse` is
    /// the rest of a sentence that begins with the text's place.
    pub(crate) async fn read(
        &self,
        request: &mut TokenRequest,
        passphrase: Option<&Secret>,
        parse: impl Fn(&str) -> Result<T, String> + Send + Sync,
    ) -> Result<Arc<T>, Error> {
        let check = |text: &str| self.parse(text, passphrase, &parse).map(drop);
        let expected = Expected { content: self.content, check: &check };
        let text = request.read_expected(&self.source, expected).await?;
        self.parse(text.expose_secret(), passphrase, &parse).map_err(|problem| self.unusable(&problem))
    }

    /// The same when a handle is built; `None` if only a function can return the text.
    pub(crate) fn read_blocking(
        &self,
        context: &CheckContext<'_>,
        passphrase: Option<&Secret>,
        parse: impl Fn(&str) -> Result<T, String> + Send + Sync,
    ) -> Result<Option<Arc<T>>, Error> {
        let check = |text: &str| self.parse(text, passphrase, &parse).map(drop);
        let expected = Expected { content: self.content, check: &check };
        let Some(text) = self.source.read_expected_blocking(context.environment(), expected)? else {
            return Ok(None);
        };
        let parsed = self.parse(text.expose_secret(), passphrase, &parse);
        parsed.map(Some).map_err(|problem| self.unusable(&problem))
    }

    fn parse(
        &self,
        text: &str,
        passphrase: Option<&Secret>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Arc<T>, String> {
        let passphrase = passphrase.map(Secret::expose_secret).unwrap_or_default();
        self.parsed.get(&[text, passphrase], || parse(text))
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

/// Stores only keyed hashes of the texts, so that no second copy of a secret exists.
///
/// A failure is stored as well: a wrong passphrase is tried with thousands of rounds of a hash function, which no
/// attempt of a refresh is to repeat.
struct Cached<T> {
    hasher: RandomState,
    last: Mutex<Option<(u64, Arc<T>)>>,
    failed: Mutex<Option<(u64, String)>>,
}

impl<T> Cached<T> {
    fn new() -> Self {
        Self { hasher: RandomState::new(), last: Mutex::new(None), failed: Mutex::new(None) }
    }

    /// The value made from these texts; made again only when they differ from the last ones.
    fn get(&self, texts: &[&str], make: impl FnOnce() -> Result<T, String>) -> Result<Arc<T>, String> {
        let hash = self.hasher.hash_one(texts);
        if let Some((_, made)) = locked(&self.last).clone().filter(|(of, _)| *of == hash) {
            return Ok(made);
        }
        if let Some((_, problem)) = locked(&self.failed).clone().filter(|(of, _)| *of == hash) {
            return Err(problem);
        }
        match make() {
            Ok(made) => {
                let made = Arc::new(made);
                *locked(&self.last) = Some((hash, Arc::clone(&made)));
                Ok(made)
            }
            Err(problem) => {
                *locked(&self.failed) = Some((hash, problem.clone()));
                Err(problem)
            }
        }
    }
}

fn locked<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_read_once_and_another_one_anew() {
        let cached = Cached::new();
        let mut made = 0;
        let mut get = |texts: &[&str]| {
            let length = cached.get(texts, || {
                made += 1;
                Ok(texts.concat())
            });
            length.unwrap().to_string()
        };
        for texts in [&["a", "b"][..], &["a", "b"], &["ab"], &["ab"], &["c"]] {
            assert_eq!(get(texts), texts.concat());
        }
        assert_eq!(made, 3);
    }

    #[test]
    fn a_text_that_cannot_be_read_leaves_what_was_made_before_and_is_tried_once() {
        let cached = Cached::new();
        let refused = || Err("cannot be decrypted".to_owned());
        cached.get(&["a", ""], || Ok(1)).unwrap();
        cached.get(&["b", ""], refused).unwrap_err();
        assert_eq!(cached.get(&["a", ""], refused), Ok(Arc::new(1)));
        assert_eq!(cached.get(&["b", ""], || Ok(2)).unwrap_err(), "cannot be decrypted");
        assert_eq!(cached.get(&["b", "another passphrase"], || Ok(2)), Ok(Arc::new(2)));
    }
}
