//! A log of everything, and the forms in which a secret could show in it.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged in this process.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The one log, which every crate of this process writes to, by way of `tracing` or of `log`.
    pub fn start() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let start = || {
            let log = Self::default();
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
                .with_writer(log.clone())
                .init();
            log
        };
        LOG.get_or_init(start).clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Every form in which a text could show.
pub fn forms(text: &str) -> Vec<String> {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let bytes = format!("{:?}", text.as_bytes());
    let mut forms = vec![
        text.to_owned(),
        format!("{text:?}").trim_matches('"').to_owned(),
        text.escape_default().to_string(),
        format!("{:?}", bytes::Bytes::copy_from_slice(text.as_bytes())).trim_matches(['b', '"']).to_owned(),
        // A list of numbers, as `Debug` of bytes writes it, and hexadecimal.
        bytes.trim_matches(['[', ']']).to_owned(),
        text.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
        encoded.to_ascii_lowercase(),
        encoded,
    ];
    for base64 in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.push(base64.encode(text));
    }
    forms
}
