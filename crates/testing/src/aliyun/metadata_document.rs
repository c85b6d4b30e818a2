//! The documents that a metadata service hands out, sound and unsound ones.

/// What a [`MetadataService`](crate::MetadataService) hands out when a document is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataDocument {
    /// The document, signed.
    #[default]
    Good,
    /// The document, with its base64 broken into lines and a line break at its end.
    Wrapped,
    /// A byte of it is changed after it was signed.
    Tampered,
    /// Something that is no document stands in its place.
    Missing,
}

impl MetadataDocument {
    /// What this makes of a signed document.
    pub(crate) fn of(self, signed: String) -> String {
        match self {
            Self::Good => signed,
            Self::Wrapped => wrapped(&signed),
            // In the middle there is the certificate or the content; either way the signature no longer fits.
            Self::Tampered => {
                let (before, after) = signed.split_at(signed.len() / 2);
                let Some(place) = after.find(|letter| letter != '\n') else { return signed };
                let (between, rest) = after.split_at(place);
                let other = if rest.starts_with('A') { 'B' } else { 'A' };
                format!("{before}{between}{other}{}", rest.get(1..).unwrap_or_default())
            }
            Self::Missing => "<html>welcome</html>".to_owned(),
        }
    }
}

/// Broken into lines, with a line break at the end.
pub(crate) fn wrapped(document: &str) -> String {
    let breaks = |(place, letter): (usize, char)| {
        let end = if place % 64 == 63 { Some('\n') } else { None };
        std::iter::once(letter).chain(end)
    };
    let mut wrapped: String = document.chars().enumerate().flat_map(breaks).collect();
    wrapped.push('\n');
    wrapped
}
