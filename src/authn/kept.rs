//! What was made of a text, kept as long as the text stays the same.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

/// Remembers the text by a hash only, under a key of its own, so that nothing secret is kept twice.
pub(crate) struct Kept<T> {
    hasher: RandomState,
    last: Mutex<Option<(u64, Arc<T>)>>,
}

impl<T> Kept<T> {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), last: Mutex::new(None) }
    }

    /// What is made of these texts; made anew only if they are others than last time.
    pub(super) fn get<E>(&self, texts: &[&str], make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
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

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_same_text_is_read_once_and_another_one_anew() {
        let kept = Kept::new();
        let mut made = 0;
        let mut get = |texts: &[&str]| {
            let length = kept.get(texts, || {
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
        let kept = Kept::new();
        kept.get(&["a"], || Ok::<_, ()>(1)).unwrap();
        kept.get(&["b"], || Err(())).unwrap_err();
        assert_eq!(kept.get(&["a"], || Err(())), Ok(Arc::new(1)));
    }
}
